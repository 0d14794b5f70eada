module strobe.test/toy

go 1.22
