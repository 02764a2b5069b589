package source

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Origin is the commit that brought a line.
type Origin struct {
	Commit, Author string
	Date           time.Time
}

// maxBlamed is how many lines of a file are asked about.
const maxBlamed = 500

// Committed is a file as the last commit has it; file is a slash path from dir,
// which lies in a repository.
func Committed(ctx context.Context, dir, file string, most int64) ([]byte, error) {
	const op = "source.Committed"
	var text []byte
	err := (&repository{dir: dir}).read(ctx, []string{"cat-file", "blob", "HEAD:./" + file}, func(out io.Reader) (err error) {
		if text, err = io.ReadAll(io.LimitReader(out, most+1)); err == nil && int64(len(text)) > most {
			err = core.E(core.KindTooLarge, op, Shown(file)+" is too large to be asked where its lines come from")
		}
		return err
	})
	return text, core.Wrap(core.KindUnavailable, op, err)
}

// Blame tells which commits brought lines of a file as the last commit has it, by
// their numbers from 1. Nothing of the working tree is read, so that no filter of
// the repository's configuration runs.
func Blame(ctx context.Context, dir, file string, lines []int) (map[int]Origin, error) {
	args := []string{"blame", "--porcelain", "--no-textconv", "--ignore-revs-file="}
	for _, n := range lines[:min(len(lines), maxBlamed)] {
		args = append(args, "-L"+strconv.Itoa(n)+",+1")
	}
	var out map[int]Origin
	err := (&repository{dir: dir}).read(ctx, append(args, "HEAD", "--", file), func(r io.Reader) (err error) {
		out, err = readBlame(r)
		return err
	})
	return out, core.Wrap(core.KindUnavailable, "source.Blame", err)
}

// readBlame reads git's porcelain form: a commit is described where it comes
// first and named by its hash afterwards.
func readBlame(r io.Reader) (map[int]Origin, error) {
	commits, lines := map[string]*Origin{}, map[int]string{}
	var at *Origin
	in := bufio.NewReader(io.LimitReader(r, 64<<20))
	for {
		text, err := in.ReadString('\n')
		word, rest, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		switch {
		case strings.HasPrefix(text, "\t"): // the line itself
		case len(word) >= 40 && strings.Trim(word, "0123456789abcdef") == "":
			if commits[word] == nil {
				commits[word] = &Origin{Commit: word}
			}
			at = commits[word]
			if numbers := strings.Fields(rest); len(numbers) > 1 {
				n, _ := strconv.Atoi(numbers[1])
				lines[n] = word
			}
		case at == nil:
		case word == "author":
			at.Author = rest
		case word == "author-mail":
			at.Author = strings.TrimSpace(at.Author + " " + rest)
		case word == "author-time":
			seconds, _ := strconv.ParseInt(rest, 10, 64)
			at.Date = time.Unix(seconds, 0).UTC()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	out := make(map[int]Origin, len(lines))
	for n, commit := range lines {
		out[n] = *commits[commit]
	}
	return out, nil
}
