//! In: what a listing is asked for. Out: its query, every value of it a parameter.

use super::Value;
use crate::page::Page;

/// The conditions of a listing, and the values that go with them.
pub(crate) struct Filter {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

impl Filter {
    pub(crate) fn new(values: &[Value]) -> Self {
        Self { sql: String::new(), values: values.to_vec() }
    }

    /// `AND column = value`, where there is one.
    pub(crate) fn and_if(&mut self, column: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.values.push(value.into());
            self.sql.push_str(&format!(" AND {column} = ${}", self.values.len()));
        }
    }

    /// `AND condition`, which holds no value.
    pub(crate) fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// `AND column >= value`, where there is one.
    pub(crate) fn and_from(&mut self, column: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.values.push(value.into());
            self.sql.push_str(&format!(" AND {column} >= ${}", self.values.len()));
        }
    }

    /// `AND column IN (…)`; of an empty list, nothing.
    pub(crate) fn and_one_of(&mut self, column: &str, allowed: Option<&[String]>) {
        let Some(allowed) = allowed else { return };
        let mut places = Vec::with_capacity(allowed.len());
        for value in allowed {
            self.values.push(value.as_str().into());
            places.push(format!("${}", self.values.len()));
        }
        if places.is_empty() {
            self.sql.push_str(" AND 1 = 0");
        } else {
            self.sql.push_str(&format!(" AND {column} IN ({})", places.join(", ")));
        }
    }

    /// The query `select`, which ends in a condition, under these conditions, in the order of `order`, one page of it.
    pub(crate) fn query(mut self, select: &str, order: &str, page: Page) -> (String, Vec<Value>) {
        self.values.push(page.fetch().into());
        let limit = self.values.len();
        (format!("{select}{} ORDER BY {order} LIMIT ${limit}", self.sql), self.values)
    }
}
