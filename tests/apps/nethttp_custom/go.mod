module strobe.test/nethttp_custom

go 1.22
