package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Memory is the program as the dynamic loader would leave it: every loadable segment, RELATIVE relocations applied.
type memory struct {
	file     *elf.File
	segments []segment
}

type segment struct {
	vaddr    uint64
	data     []byte
	writable bool
}

func load(file *elf.File) (*memory, error) {
	m := &memory{file: file}
	for _, p := range file.Progs {
		if p.Type != elf.PT_LOAD || p.Filesz == 0 {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := io.ReadFull(io.NewSectionReader(p, 0, int64(p.Filesz)), data); err != nil {
			return nil, err
		}
		m.segments = append(m.segments, segment{p.Vaddr, data, p.Flags&elf.PF_W != 0})
	}
	return m, m.relocate()
}

// Relocate applies the RELA entries of type RELATIVE. RELR entries have their value in place already.
func (m *memory) relocate() error {
	at, err := m.file.DynValue(elf.DT_RELA)
	if err != nil || len(at) == 0 {
		return nil // not dynamic
	}
	size, err := m.file.DynValue(elf.DT_RELASZ)
	if err != nil || len(size) == 0 {
		return errors.New("DT_RELA without DT_RELASZ")
	}
	relative := uint32(elf.R_X86_64_RELATIVE)
	if m.file.Machine == elf.EM_AARCH64 {
		relative = uint32(elf.R_AARCH64_RELATIVE)
	}
	table := bytes.Clone(m.from(at[0]))
	for i := uint64(0); i+24 <= size[0] && i+24 <= uint64(len(table)); i += 24 {
		entry := table[i : i+24]
		if binary.LittleEndian.Uint32(entry[8:]) != relative {
			continue
		}
		if word := m.from(binary.LittleEndian.Uint64(entry)); len(word) >= 8 {
			copy(word[:8], entry[16:])
		}
	}
	return nil
}

// From is everything from an address to the end of its segment.
func (m *memory) from(vaddr uint64) []byte {
	for _, s := range m.segments {
		if vaddr >= s.vaddr && vaddr-s.vaddr < uint64(len(s.data)) {
			return s.data[vaddr-s.vaddr:]
		}
	}
	return nil
}

func (m *memory) word(vaddr uint64) uint64 {
	if b := m.from(vaddr); len(b) >= 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Pclntab finds the table by its section, else by the only place that has its magic and is pointed at by a moduledata.
func (m *memory) pclntab() (uint64, string, error) {
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
		if s := m.file.Section(name); s != nil && m.module(s.Addr) != 0 {
			return s.Addr, "section " + name, nil
		}
	}
	quantum := byte(1)
	if m.file.Machine == elf.EM_AARCH64 {
		quantum = 4
	}
	for _, magic := range []byte{0xf0, 0xf1} {
		want := []byte{magic, 0xff, 0xff, 0xff, 0, 0, quantum, 8}
		if vaddr := m.find(want, func(vaddr uint64) bool { return m.module(vaddr) != 0 }); vaddr != 0 {
			return vaddr, "magic, and a moduledata points at it", nil
		}
	}
	return 0, "", errors.New("no pclntab that a moduledata points at")
}

// Module is the address of a moduledata for the table: its first word is the table's address, and its ftab (word 17) has
// one entry more than the table has functions.
func (m *memory) module(table uint64) uint64 {
	functions := m.word(table + 8)
	if s := m.file.Section(".go.module"); s != nil && m.word(s.Addr) == table {
		return s.Addr
	}
	want := binary.LittleEndian.AppendUint64(nil, table)
	return m.find(want, func(vaddr uint64) bool { return m.word(vaddr+17*8) == functions+1 })
}

// Find is the first address with these bytes that is the one; 0 if there is none.
func (m *memory) find(want []byte, isIt func(vaddr uint64) bool) uint64 {
	for _, s := range m.segments {
		for base := 0; ; base++ {
			i := bytes.Index(s.data[base:], want)
			if i < 0 {
				break
			}
			base += i
			if vaddr := s.vaddr + uint64(base); isIt(vaddr) {
				return vaddr
			}
		}
	}
	return 0
}

// Text is where the entries of functab count from. Up to Go 1.25 the header says it; since 1.26 moduledata alone does.
func (m *memory) text(table uint64) (uint64, string, error) {
	if text := m.word(table + 24); text != 0 {
		return text, "pclntab's header", nil
	}
	module := m.module(table)
	if text := m.word(module + 22*8); text != 0 {
		return text, fmt.Sprintf("moduledata at %#x", module), nil
	}
	return 0, "", errors.New("moduledata has no text")
}
