//! A query of Prometheus: whether what it asks for is there, and which labels its answer has.

use std::collections::BTreeSet;

use promql_parser::label::{Labels as Names, Matchers};
use promql_parser::parser::token::{T_LAND, T_LOR, T_LUNLESS};
use promql_parser::parser::{
    self, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector, value::ValueType,
};

use crate::known::{Known, Labels, both};

/// The labels that the answer of a query has, or everything that is wrong with it.
pub(crate) fn check(query: &str, known: &Known) -> Result<Labels, Vec<String>> {
    let query = parser::parse(query).map_err(|error| vec![format!("`{query}` cannot be read: {error}")])?;
    let mut reader = Reader { known, wrong: Vec::new() };
    let labels = reader.labels(&query);
    if reader.wrong.is_empty() { Ok(labels) } else { Err(reader.wrong) }
}

struct Reader<'a> {
    known: &'a Known,
    wrong: Vec<String>,
}

impl Reader<'_> {
    fn labels(&mut self, query: &Expr) -> Labels {
        match query {
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Some(BTreeSet::new()),
            Expr::Paren(inner) => self.labels(&inner.expr),
            Expr::Unary(inner) => self.labels(&inner.expr),
            Expr::Subquery(inner) => self.labels(&inner.expr),
            Expr::VectorSelector(selector) => self.selected(selector),
            Expr::MatrixSelector(selector) => self.selected(&selector.vs),
            Expr::Call(call) => self.called(call),
            Expr::Binary(operation) => self.joined(operation),
            Expr::Aggregate(aggregate) => {
                let inner = self.labels(&aggregate.expr);
                match &aggregate.modifier {
                    Some(LabelModifier::Include(names)) => {
                        self.expect("by", names, &inner);
                        Some(owned(names))
                    }
                    Some(LabelModifier::Exclude(names)) => {
                        Some(inner?.into_iter().filter(|label| !names.labels.contains(label)).collect())
                    }
                    None => Some(BTreeSet::new()),
                }
            }
        }
    }

    fn selected(&mut self, selector: &VectorSelector) -> Labels {
        let by_name = selector.matchers.find_matchers("__name__");
        let (what, labels) = match (&selector.name, by_name.first()) {
            (Some(name), _) => match self.known.named(name) {
                Some(labels) => (name.clone(), labels.clone()),
                None => return self.missing(format!("there is no metric {name}")),
            },
            (None, Some(matcher)) => match self.known.matching(matcher) {
                Some(labels) => (matcher.value.clone(), labels),
                None => return self.missing(format!("no metric matches {}", matcher.value)),
            },
            (None, None) => return self.missing("a selector names no metric".to_owned()),
        };
        for label in asked(&selector.matchers) {
            if label != "__name__" && labels.as_ref().is_some_and(|labels| !labels.contains(label)) {
                self.wrong.push(format!("{what} has no label {label}"));
            }
        }
        labels
    }

    fn called(&mut self, call: &Call) -> Labels {
        let mut answer = Some(BTreeSet::new());
        for argument in &call.args.args {
            let labels = self.labels(argument);
            if matches!(argument.value_type(), ValueType::Vector | ValueType::Matrix) {
                answer = labels;
            }
        }
        match call.func.name {
            "label_replace" | "label_join" => {
                let mut answer = answer?;
                if let Some(Expr::StringLiteral(label)) = call.args.args.get(1).map(AsRef::as_ref) {
                    answer.insert(label.val.clone());
                }
                Some(answer)
            }
            "histogram_quantile" => {
                let mut answer = answer?;
                if !answer.remove("le") {
                    self.wrong.push("histogram_quantile of something without le".to_owned());
                }
                Some(answer)
            }
            "vector" | "scalar" | "time" => Some(BTreeSet::new()),
            _ => answer,
        }
    }

    fn joined(&mut self, operation: &BinaryExpr) -> Labels {
        let (left, right) = (self.labels(&operation.lhs), self.labels(&operation.rhs));
        let modifier = operation.modifier.as_ref();
        let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
        if let Some(LabelModifier::Include(names)) = matching {
            self.expect("on", names, &left);
            self.expect("on", names, &right);
        }
        match operation.op.id() {
            T_LOR => return both(left, &right),
            T_LAND | T_LUNLESS => return left,
            _ => {}
        }
        if operation.lhs.value_type() == ValueType::Scalar {
            return right;
        }
        if operation.rhs.value_type() == ValueType::Scalar {
            return left;
        }
        let many = match modifier.map(|modifier| &modifier.card) {
            Some(VectorMatchCardinality::ManyToOne(extra)) => Some((left.clone(), extra, &right)),
            Some(VectorMatchCardinality::OneToMany(extra)) => Some((right.clone(), extra, &left)),
            _ => None,
        };
        if let Some((many, extra, one)) = many {
            self.expect("group", extra, one);
            return both(many, &Some(owned(extra)));
        }
        match matching {
            Some(LabelModifier::Include(names)) => Some(owned(names)),
            Some(LabelModifier::Exclude(names)) => {
                Some(left?.into_iter().filter(|label| !names.labels.contains(label)).collect())
            }
            None => left,
        }
    }

    fn expect(&mut self, word: &str, names: &Names, there: &Labels) {
        let Some(there) = there else { return };
        for label in names.labels.iter().filter(|label| !there.contains(*label)) {
            self.wrong.push(format!("{word} ({label}): it is not there"));
        }
    }

    fn missing(&mut self, what: String) -> Labels {
        self.wrong.push(what);
        // One mistake is told once.
        None
    }
}

fn owned(names: &Names) -> BTreeSet<String> {
    names.labels.iter().cloned().collect()
}

fn asked(matchers: &Matchers) -> impl Iterator<Item = &str> {
    let others = matchers.or_matchers.iter().flatten();
    matchers.matchers.iter().chain(others).map(|matcher| matcher.name.as_str())
}
