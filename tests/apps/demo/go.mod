module strobe.test/demo

go 1.22
