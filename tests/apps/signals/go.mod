module strobe.test/signals

go 1.22
