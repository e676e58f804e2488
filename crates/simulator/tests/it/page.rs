use crate::support::Simulator;

#[actix_web::test]
async fn the_page_is_whole_and_asks_nobody_else() {
    let sim = Simulator::start().await;
    let page = sim.get("/").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text.contains("Simulation.") && page.text.contains("Not Telegram"));
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let mut found = 0;
    for part in page.text.split(['"', '\'']).filter(|part| part.starts_with("/page/")) {
        let file = sim.get(part).await;
        assert_eq!(file.status, 200, "{part}");
        assert!(!file.text.contains("//cdn") && !file.text.contains("@import"), "{part}");
        assert!(!file.text.contains("innerHTML"), "text becomes nodes, never markup");
        found += 1;
    }
    assert_eq!(found, 2);
    let script = sim.get("/page/chat.js").await;
    assert!(script.text.contains("from './text.js'"));
    assert_eq!(sim.get("/page/text.js").await.header("content-type"), "text/javascript; charset=utf-8");
    assert!(!page.text.contains("<script>") && !page.text.contains("onclick"), "no inline script");
    let head = sim.client.head(sim.url("/")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers().get("content-type").unwrap(), "text/html; charset=utf-8");
    sim.stop().await;
}
