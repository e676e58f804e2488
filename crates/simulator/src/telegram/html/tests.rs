use super::*;

fn kinds(input: &str) -> (String, Vec<(String, usize, usize)>) {
    let formatted = parse(input).unwrap();
    let entities = formatted.entities.into_iter().map(|entity| (entity.kind, entity.offset, entity.length)).collect();
    (formatted.text, entities)
}

fn entity(kind: &str, offset: usize, length: usize) -> (String, usize, usize) {
    (kind.to_owned(), offset, length)
}

#[test]
fn tags_become_entities_counted_in_utf16() {
    assert_eq!(
        kinds("<b>BUY</b> \u{1F680} <i>72&nbsp;% &lt;sure&gt; &#x1F4C8;</i>"),
        ("BUY \u{1F680} 72&nbsp;% <sure> \u{1F4C8}".to_owned(), vec![entity("bold", 0, 3), entity("italic", 7, 19)])
    );
    assert_eq!(kinds("<b>a<i>b</i></b>").1, [entity("bold", 0, 2), entity("italic", 1, 1)]);
    assert_eq!(kinds("<B >a</b >").1, [entity("bold", 0, 1)]);
    assert_eq!(kinds("<b></b>x").1, []);
    assert_eq!(
        kinds("<span class=\"tg-spoiler\">s</span><blockquote expandable>q</blockquote>").1,
        [entity("spoiler", 0, 1), entity("expandable_blockquote", 1, 1)]
    );
}

#[test]
fn links_and_code() {
    let linked = parse("<a href=\"https://example.com/?a=1&amp;b=2\">trace</a>").unwrap();
    assert_eq!(linked.entities[0].url.as_deref(), Some("https://example.com/?a=1&b=2"));
    assert_eq!(kinds("<a href='javascript:alert(1)'>x</a>").1, []);
    assert_eq!(kinds("<a>word</a>").1, []);
    assert_eq!(parse("<a href=\"http://127.0.0.1:3200/x\">x</a>").unwrap().entities.len(), 1);
    let block = parse("<pre><code class=\"language-json\">{}</code></pre>").unwrap();
    assert_eq!((block.entities.len(), block.entities[0].kind.as_str()), (1, "pre"));
    assert_eq!(block.entities[0].language.as_deref(), Some("json"));
    assert_eq!(kinds("<code>4bf9</code>").1, [entity("code", 0, 4)]);
}

#[test]
fn errors_are_telegrams_own() {
    for (input, error) in [
        ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</i>", "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
        ("a < b >", "Unsupported start tag \"\" at byte offset 2"),
        ("1 <2>", "Unsupported start tag \"2\" at byte offset 2"),
        ("<script>x</script>", "Unsupported start tag \"script\" at byte offset 0"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<a href=\"x>y</a>", "Unclosed start tag at byte offset 0"),
        ("<b =1>x</b>", "Empty attribute name in the tag \"b\" at byte offset 0"),
        ("<span class=\"red\">x</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
    ] {
        assert_eq!(parse(input).unwrap_err(), error, "{input}");
    }
}

#[test]
fn white_space_at_the_ends_goes_with_its_entities() {
    let trimmed = parse(" \n<b> a </b> <i> </i>").unwrap().trimmed();
    assert_eq!(trimmed.text, "a");
    assert_eq!(trimmed.entities.iter().map(|entity| (entity.offset, entity.length)).collect::<Vec<_>>(), [(0, 1)]);
}
