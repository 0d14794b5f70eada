module strobe.test/oracle

go 1.24
