//! Listings by key: what was listed is not listed again, whatever is written meanwhile.

/// Rows on one page, at most.
pub const MAX_LIMIT: u32 = 500;

/// Which part of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The [`Listing::next`] of the page before; absent: the first page.
    pub after: Option<i64>,
    /// Rows at most, 1 to [`MAX_LIMIT`]; others are brought into these bounds.
    pub limit: u32,
}

impl Page {
    /// The first page.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// One row more than is shown tells whether there is a next page.
    pub(crate) fn fetch(self) -> i64 {
        i64::from(self.limit.clamp(1, MAX_LIMIT)) + 1
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::first(100)
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// Its rows, in the order of the listing.
    pub rows: Vec<T>,
    /// Where the next page begins; absent: this is the last.
    pub next: Option<i64>,
}

impl<T> Listing<T> {
    /// Cuts what [`Page::fetch`] fetched; `key` is a row's place in the order.
    pub(crate) fn cut(mut rows: Vec<T>, page: Page, key: impl Fn(&T) -> i64) -> Self {
        let limit = usize::try_from(page.fetch() - 1).unwrap_or(usize::MAX);
        if rows.len() <= limit {
            return Self { rows, next: None };
        }
        rows.truncate(limit);
        let next = rows.last().map(key);
        Self { rows, next }
    }
}

/// Which state of a row was read: an edit that names it is refused when the row has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

impl Revision {
    /// Proves that `expected`, where there is one, is this.
    pub(crate) fn check(self, expected: Option<Self>) -> Result<(), crate::error::StoreError> {
        match expected {
            Some(expected) if expected != self => Err(crate::error::StoreError::Conflict { current: self }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_one_and_never_all() {
        assert_eq!(Page::first(0).fetch(), 2);
        assert_eq!(Page::first(u32::MAX).fetch(), i64::from(MAX_LIMIT) + 1);
    }

    #[test]
    fn the_last_page_says_so() {
        let page = Page::first(2);
        assert_eq!(Listing::cut(vec![1, 2, 3], page, |row| *row), Listing { rows: vec![1, 2], next: Some(2) });
        assert_eq!(Listing::cut(vec![1, 2], page, |row| *row), Listing { rows: vec![1, 2], next: None });
    }
}
