//! Webhooks as recipients: named by whom the configuration and a token let, and counted as any other.

use configuration::{Config, Quotas, Tenant, Webhook};
use model::delivery::{Channel, Notify};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use store::Scope;

use crate::api::{Api, Stack, body, caller, id_of, on_both_stacks, problem};

on_both_stacks!(
    a_tenant_names_its_own_webhooks_and_hears_of_no_others,
    a_token_names_the_webhooks_among_its_recipients,
    a_webhook_counts_as_a_recipient,
);

/// `erp` is Acme's, `wms` is of others, `bus` is everybody's.
fn webhooks(config: &mut Config) {
    for (name, tenant) in [("erp", "acme"), ("wms", "globex"), ("bus", "*")] {
        let webhook = Webhook::at("https://hooks.example.com", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        config.webhooks.insert(name.to_owned(), Webhook { tenants: vec![tenant.to_owned()], ..webhook });
    }
}

fn told(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"channel": "webhook", "to": name})).collect()
}

async fn submit(api: &Api, key: &str, notify: Value) -> Response {
    let request = api.plain(Method::POST, "/v1/jobs").bearer_auth(key);
    request.json(&json!({"report": "numbers", "notify": notify})).send().await.unwrap()
}

/// Returns what is wrong, by where it stands.
async fn wrong(answer: Response) -> Vec<(String, String)> {
    let (status, _, said) = problem(answer).await;
    assert_eq!(status, 422, "{said}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    said["errors"].as_array().unwrap().iter().map(|one| (text(&one["pointer"]), text(&one["detail"]))).collect()
}

async fn a_tenant_names_its_own_webhooks_and_hears_of_no_others(stack: Stack) {
    let api = Api::start_with(stack, webhooks).await;
    let both = json!([{"channel": "email", "to": "ana@example.com"}, {"channel": "webhook", "to": "erp"}, {"channel": "webhook", "to": "bus"}]);
    let made = body(submit(&api, &api.key, both).await).await;
    let kept = api.job(id_of(&made)).await.notify;
    let [mail, erp, bus] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((mail.channel, erp, bus), (Channel::Email, &Notify::by_webhook("erp"), &Notify::by_webhook("bus")));
    let refused = wrong(submit(&api, &api.key, told(&["wms", "none", "erp", "Not a name", "erp"])).await).await;
    let at = |place: usize| (refused[place].0.as_str(), refused[place].1.as_str());
    assert_eq!(
        (at(0).0, at(1).0, at(0).1),
        ("/notify/0/to", "/notify/1/to", at(1).1),
        "a foreign one is as unknown as none"
    );
    assert!(at(0).1.contains("an operator lists your tenant in its tenants"), "{refused:?}");
    assert_eq!(at(2), ("/notify/3/to", "must be the name of a webhook, such as \"erp\""));
    assert_eq!(at(3), ("/notify/4/to", "is there twice"));
    let theirs = api.make_key(&caller("globex", "gus"), &Scope::ALL).await;
    assert_eq!(submit(&api, &theirs, told(&["wms", "bus"])).await.status(), 202);
    assert_eq!(wrong(submit(&api, &theirs, told(&["erp"])).await).await.len(), 1);
    // A schedule and its alarms by the same rules.
    let schedule = |name: &str| json!({"report": "numbers", "when": "every day at 07:30", "notify": told(&["erp"]), "alert": told(&[name])});
    let made = api.post("/v1/schedules").json(&schedule("bus")).send().await.unwrap();
    assert_eq!(made.status(), 201);
    assert_eq!(body(made).await["alert"], told(&["bus"]));
    let refused = wrong(api.post("/v1/schedules").json(&schedule("wms")).send().await.unwrap()).await;
    assert_eq!(refused[0].0, "/alert/0/to");
    api.stop().await;
}

async fn a_token_names_the_webhooks_among_its_recipients(stack: Stack) {
    let api = Api::start_with(stack, webhooks).await;
    let shop = api.make_key(&caller("acme", "shop"), &[Scope::Mint, Scope::Read, Scope::Write]).await;
    let mint = async |recipients: Value| {
        let asked = json!({"principal": "customer-7", "recipients": recipients});
        api.plain(Method::POST, "/v1/tokens").bearer_auth(&shop).json(&asked).send().await.unwrap()
    };
    let token = async |recipients: Value| body(mint(recipients).await).await["token"].as_str().unwrap().to_owned();
    let some = token(json!(["@example.com", "webhook:erp", "webhook:wms"])).await;
    assert_eq!(submit(&api, &some, told(&["erp"])).await.status(), 202);
    for other in ["bus", "wms"] {
        assert_eq!(submit(&api, &some, told(&[other])).await.status(), 422, "{other}");
    }
    let mails = token(json!(["@example.com"])).await;
    let refused = wrong(submit(&api, &mails, told(&["erp"])).await).await;
    assert!(refused[0].1.contains("\"webhook:<name>\" among its recipients"), "{refused:?}");
    for bad in ["webhook:", "webhook:ERP", "erp"] {
        assert_eq!(wrong(mint(json!([bad])).await).await[0].0, "/recipients/0", "{bad}");
    }
    api.stop().await;
}

async fn a_webhook_counts_as_a_recipient(stack: Stack) {
    let api = Api::start_with(stack, |config| {
        webhooks(config);
        let quotas = Quotas { recipients_per_job: 2, recipients_per_day: 3, ..Quotas::default() };
        let tenant = Tenant { brand: config.mail.brand.clone(), weight: 1, max_running: 0, quotas };
        config.tenants.insert("acme".to_owned(), tenant);
    })
    .await;
    let mail = json!({"channel": "email", "to": "ana@example.com"});
    let too_many = json!([mail, {"channel": "webhook", "to": "erp"}, {"channel": "webhook", "to": "bus"}]);
    assert_eq!(problem(submit(&api, &api.key, too_many).await).await.1, "quota-exceeded");
    assert_eq!(submit(&api, &api.key, told(&["erp", "bus"])).await.status(), 202);
    assert_eq!(problem(submit(&api, &api.key, told(&["erp", "bus"])).await).await.1, "quota-exhausted");
    assert_eq!(submit(&api, &api.key, told(&["erp"])).await.status(), 202);
    api.stop().await;
}
