//! What could not be read, where, and why: bad input is a row, never silence and never a failure.

/// Rows kept per (capture, kind); the rest is counted in the last of them.
const KEPT_PER_KIND: usize = 8;

/// One thing that could not be read as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Stable kebab-case name, for example `truncated-tail` or `ipv4-bad-length`.
    pub kind: &'static str,
    /// Capture number as given by the engine.
    pub capture: u32,
    /// Frame number, from 1 in its file; 0 when the issue is not about one frame.
    pub frame: u64,
    /// Offset in the decompressed stream.
    pub offset: u64,
    /// One sentence with the numbers: what was needed, what was there.
    pub detail: String,
    /// How many times this kind was met, when rows were left out.
    pub count: u64,
}

/// A bounded list of issues: the first few of each kind in full, the rest counted.
#[derive(Debug, Default)]
pub struct Issues {
    rows: Vec<Issue>,
}

impl Issues {
    /// Notes one issue. `detail` is only rendered when the row is kept.
    pub fn add(&mut self, kind: &'static str, capture: u32, frame: u64, offset: u64, detail: impl FnOnce() -> String) {
        let mut last = None;
        let mut kept = 0;
        for (at, row) in self.rows.iter().enumerate() {
            if row.kind == kind && row.capture == capture {
                kept += 1;
                last = Some(at);
            }
        }
        match last {
            Some(at) if kept >= KEPT_PER_KIND => self.rows[at].count += 1,
            _ => self.rows.push(Issue { kind, capture, frame, offset, detail: detail(), count: 1 }),
        }
    }

    pub fn rows(&self) -> &[Issue] {
        &self.rows
    }

    pub fn take(&mut self) -> Vec<Issue> {
        std::mem::take(&mut self.rows)
    }

    /// Takes over another list, keeping the bound per kind.
    pub fn absorb(&mut self, other: Issues) {
        for row in other.rows {
            let kept = self.rows.iter().filter(|mine| mine.kind == row.kind && mine.capture == row.capture).count();
            let last = self.rows.iter_mut().rfind(|mine| mine.kind == row.kind && mine.capture == row.capture);
            match last {
                Some(last) if kept >= KEPT_PER_KIND => last.count += row.count,
                _ => self.rows.push(row),
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_bounded_and_counted() {
        let mut issues = Issues::default();
        for frame in 1..=100 {
            issues.add("short", 0, frame, 0, || format!("frame {frame}"));
        }
        issues.add("other", 0, 1, 0, String::new);
        assert_eq!(issues.rows().len(), KEPT_PER_KIND + 1);
        assert_eq!(issues.rows().iter().filter(|i| i.kind == "short").map(|i| i.count).sum::<u64>(), 100);
    }
}
