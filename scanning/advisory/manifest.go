package advisory

import "time"

// manifest is what a database says of itself.
type manifest struct {
	Format int       `json:"format"`
	Built  time.Time `json:"built"`
	// Content is a hash of the advisories, whatever day they were packed.
	Content    string                `json:"content"`
	Advisories int                   `json:"advisories"`
	Withdrawn  int                   `json:"withdrawn"`
	Ecosystems map[string]*Ecology   `json:"ecosystems,omitempty"`
	Problems   []Problem             `json:"problems,omitempty"`
	Unnamed    int                   `json:"unnamed,omitempty"` // problems beyond those that are listed
	Feeds      map[string]*FeedState `json:"feeds,omitempty"`
}

// Ecology is what the database holds of one ecosystem.
type Ecology struct {
	Advisories int `json:"advisories"`
	// Whole says that a source of this ecosystem's own was imported. Without it
	// there are only advisories that it shares with others: too few to call
	// anything clean.
	Whole bool `json:"whole"`
	// Releases are those of a distribution that advisories name.
	Releases []string `json:"releases,omitempty"`
	// Newest is when the newest of them was modified.
	Newest time.Time `json:"newest"`
	// AsOf is the moment of which the data is: when it was fetched, or where
	// nobody said, when the newest advisory of the same import was modified.
	AsOf time.Time `json:"as_of"`
}

// FeedState is what is known of KEV or EPSS.
type FeedState struct {
	Entries int       `json:"entries"`
	AsOf    time.Time `json:"as_of"`
	Version string    `json:"version,omitempty"`
}

// Problem is an advisory, or a part of one, that could not be read.
type Problem struct {
	// Source is the file that was imported, Entry the file within it.
	Source string `json:"source"`
	Entry  string `json:"entry,omitempty"`
	What   string `json:"what"`
}

func (p Problem) String() string {
	if p.Entry == "" {
		return p.Source + ": " + p.What
	}
	return p.Source + ": " + p.Entry + ": " + p.What
}

// maxProblems is how many are named; the others are counted.
const maxProblems = 1000
