module strobe.test/databasesql

go 1.19
