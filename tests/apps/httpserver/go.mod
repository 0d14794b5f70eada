module strobe.test/httpserver

go 1.19
