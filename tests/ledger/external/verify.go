// An independent reader of a log folder: golang.org/x/mod/sumdb/{note,tlog}, the reference implementation of signed
// notes and tiles. Usage: verify <folder> <verifier key> <entries to check, or 0 for all>. Prints "ok <size>" or fails.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type folder string

func (f folder) Height() int { return 8 }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		// The Go form is tile/<height>/<level>/..., that of C2SP leaves the height out.
		data, err := os.ReadFile(filepath.Join(string(f), strings.Replace(t.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// entry reads one entry from its bundle; the path of a bundle is that of a level 0 tile, below "entries".
func (f folder) entry(index, size int64) []byte {
	t := tlog.Tile{H: 8, L: 0, N: index / 256, W: 256}
	if size-t.N*256 < 256 {
		t.W = int(size - t.N*256)
	}
	data, err := os.ReadFile(filepath.Join(string(f), strings.Replace(t.Path(), "tile/8/0/", "tile/entries/", 1)))
	check(err)
	for i := int64(0); i < index%256; i++ {
		data = data[2+binary.BigEndian.Uint16(data):]
	}
	return data[2 : 2+binary.BigEndian.Uint16(data)]
}

func main() {
	dir, step := folder(os.Args[1]), int64(1)
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	raw, err := os.ReadFile(filepath.Join(os.Args[1], "checkpoint"))
	check(err)
	opened, err := note.Open(raw, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != verifier.Name() {
		check(fmt.Errorf("origin %q is not %q", lines[0], verifier.Name()))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	tree := tlog.Tree{N: size, Hash: root}
	hashes := tlog.TileHashReader(tree, dir)
	again, err := tlog.TreeHash(size, hashes)
	check(err)
	if again != root {
		check(fmt.Errorf("tiles lead to another root"))
	}
	if n, _ := strconv.ParseInt(os.Args[3], 10, 64); n > 0 && n < size {
		step = size / n
	}
	for i := int64(0); i < size; i += step {
		proof, err := tlog.ProveRecord(size, i, hashes)
		check(err)
		check(tlog.CheckRecord(proof, size, root, i, tlog.RecordHash(dir.entry(i, size))))
		old, err := tlog.TreeHash(i+1, hashes)
		check(err)
		grown, err := tlog.ProveTree(size, i+1, hashes)
		check(err)
		check(tlog.CheckTree(grown, size, root, i+1, old))
	}
	fmt.Println("ok", size)
}
