module strobe.test/nethttp

go 1.22
