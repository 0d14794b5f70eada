// Oracle says what Go's own packages read in an executable: its build information (debug/buildinfo) and every function of
// its pclntab (debug/gosym). The corpus test holds the analyzer against it.
//
// gosym wants two things handed to it that it cannot find by itself: the bytes of pclntab, and the address of the first
// text byte, which the table's header has lost in Go 1.26 and which is relocated in a position-independent file. Where
// they were found is part of the output. Nothing here is shared with the analyzer.
package main

import (
	"bufio"
	"debug/buildinfo"
	"debug/elf"
	"debug/gosym"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
)

// Header is the first line of the output; the functions follow, one a line: entry, end, name.
type Header struct {
	Arch       string
	Pie        bool
	Cgo        bool   // something of C is linked in: a dynamic library, or C's start-up code
	Symbols    bool   // .symtab is there
	Sections   bool   // section headers are there
	Pclntab    string // where the table was found
	Text       string // how the text's start was found
	Functions  int
	BuildError string // why debug/buildinfo reads nothing
	Build      *debug.BuildInfo
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: oracle FILE")
		os.Exit(64)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "oracle: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	memory, err := load(file)
	if err != nil {
		return err
	}
	head := describe(file)
	table, where, err := memory.pclntab()
	if err != nil {
		return err
	}
	text, how, err := memory.text(table)
	if err != nil {
		return err
	}
	head.Pclntab, head.Text = where, how
	head.Build, err = buildinfo.ReadFile(path)
	if err != nil {
		head.BuildError = err.Error()
	}
	symbols, err := gosym.NewTable(nil, gosym.NewLineTable(memory.from(table), text))
	if err != nil {
		return err
	}
	head.Functions = len(symbols.Funcs)
	return write(head, symbols)
}

func describe(file *elf.File) Header {
	head := Header{Arch: file.Machine.String(), Pie: file.Type == elf.ET_DYN, Sections: len(file.Sections) > 0}
	head.Symbols = file.Section(".symtab") != nil
	libraries, err := file.ImportedLibraries()
	head.Cgo = (err == nil && len(libraries) > 0) || file.Section(".init_array") != nil
	return head
}

func write(head Header, symbols *gosym.Table) error {
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	first, err := json.Marshal(head)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", first)
	for i := range symbols.Funcs {
		f := &symbols.Funcs[i]
		fmt.Fprintf(out, "%x\t%x\t%s\n", f.Entry, f.End, f.Name)
	}
	return out.Flush()
}
