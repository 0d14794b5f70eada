module strobe.test/carries

go 1.19
