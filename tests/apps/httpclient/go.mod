module strobe.test/httpclient

go 1.19
