module strobe.test/over

go 1.22
