//! All forms at once, byte by byte. In: a state and a byte. Out: the next state, which tells how long a beginning is
//! alive and whether a form just ended; each byte costs amortised constant time, whatever the text.

use std::collections::VecDeque;

use zeroize::{Zeroize, Zeroizing};

/// A place in the automaton: an index into its nodes.
pub(super) type State = u32;

/// Nothing is alive.
pub(super) const ROOT: State = 0;

/// An automaton of Aho and Corasick, as a tree with sibling lists: forms are few and long, so almost every node has one
/// child, and a table of 256 entries a node would be megabytes of key material.
///
/// # Source
/// Aho, Corasick: Efficient string matching, CACM 18(6), 1975.
pub(super) struct Automaton {
    nodes: Zeroizing<Vec<Node>>,
}

/// One beginning of one or more forms.
#[derive(Clone, Copy, Default, Zeroize)]
struct Node {
    /// The last byte of this beginning.
    byte: u8,
    /// The first beginning that is one byte longer; `ROOT` for none.
    child: State,
    /// The next beginning with the same parent; `ROOT` for none.
    sibling: State,
    /// The longest proper suffix of this beginning which is a beginning itself.
    fail: State,
    /// Its length in bytes.
    depth: u32,
    /// The length of the longest form that ends here, as the whole of it or as a suffix; 0 for none.
    longest: u32,
}

impl Automaton {
    pub(super) fn new(patterns: &[Zeroizing<Vec<u8>>]) -> Self {
        // Room for all at once: growing would leave copies of the key behind.
        let room = 1 + patterns.iter().map(|pattern| pattern.len()).sum::<usize>();
        let mut nodes = Zeroizing::new(Vec::with_capacity(room));
        nodes.push(Node::default());
        let mut automaton = Self { nodes };
        patterns.iter().for_each(|pattern| automaton.insert(pattern));
        automaton.link();
        automaton
    }

    /// The state after one more byte.
    pub(super) fn step(&self, mut state: State, byte: u8) -> State {
        loop {
            match self.child(state, byte) {
                Some(next) => return next,
                None if state == ROOT => return ROOT,
                None => state = self.node(state).fail,
            }
        }
    }

    /// How many of the last bytes are the beginning of a form.
    pub(super) fn depth(&self, state: State) -> usize {
        // A u32 fits in a usize on every machine this runs on; the saturation is never reached.
        usize::try_from(self.node(state).depth).unwrap_or(usize::MAX)
    }

    /// The length of the longest form that ends at this byte.
    pub(super) fn longest_match(&self, state: State) -> Option<usize> {
        usize::try_from(self.node(state).longest).ok().filter(|len| *len > 0)
    }

    fn insert(&mut self, pattern: &[u8]) {
        let mut state = ROOT;
        for byte in pattern {
            state = match self.child(state, *byte) {
                Some(next) => next,
                None => self.grow(state, *byte),
            };
        }
        let depth = self.node(state).depth;
        self.change(state, |node| node.longest = depth);
    }

    fn grow(&mut self, parent: State, byte: u8) -> State {
        let Node { child, depth, .. } = self.node(parent);
        // Under 2^32 nodes: forms of 8 KiB secrets come to some hundred thousand bytes.
        let new = State::try_from(self.nodes.len()).unwrap_or(ROOT);
        self.nodes.push(Node { byte, sibling: child, depth: depth + 1, ..Node::default() });
        self.change(parent, |node| node.child = new);
        new
    }

    /// Sets every `fail` and completes `longest`, shorter beginnings before longer ones.
    fn link(&mut self) {
        let mut queue = VecDeque::from([ROOT]);
        while let Some(parent) = queue.pop_front() {
            let fail_of_parent = self.node(parent).fail;
            let mut child = self.node(parent).child;
            while child != ROOT {
                let Node { byte, sibling, .. } = self.node(child);
                let fail = if parent == ROOT { ROOT } else { self.step(fail_of_parent, byte) };
                let inherited = self.node(fail).longest;
                self.change(child, |node| {
                    node.fail = fail;
                    node.longest = node.longest.max(inherited);
                });
                queue.push_back(child);
                child = sibling;
            }
        }
    }

    fn child(&self, parent: State, byte: u8) -> Option<State> {
        let mut child = self.node(parent).child;
        while child != ROOT {
            let node = self.node(child);
            if node.byte == byte {
                return Some(child);
            }
            child = node.sibling;
        }
        None
    }

    /// Every state is an index that `grow` gave out; the root stands in where that can't be proven to the compiler.
    fn node(&self, state: State) -> Node {
        usize::try_from(state).ok().and_then(|index| self.nodes.get(index)).copied().unwrap_or_default()
    }

    fn change(&mut self, state: State, how: impl FnOnce(&mut Node)) {
        if let Some(node) = usize::try_from(state).ok().and_then(|index| self.nodes.get_mut(index)) {
            how(node);
        }
    }
}
