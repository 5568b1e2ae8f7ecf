//! What Holdfast's credential may not do. What it may do, every other act shows: the controllers have no other.

use reqwest::Method;
use serde_json::{Value, json};

use crate::report::Told;
use crate::stage::SOURCE;
use crate::world::World;

/// Whoever steals the credential cannot delete, make, reset or take over anything.
pub(crate) async fn play(told: Told) {
    let world = World::real().await;
    let server = world.raw.boot("not-theirs", "1", SOURCE).await;
    let thief = Thief::new(&world).await;
    let services = thief.ask(Method::GET, "os-services?binary=nova-compute", Value::Null).await;
    assert_eq!(services.0, 200);
    let service = services.1["services"][0]["id"].as_str().unwrap().to_owned();
    let shown = thief.ask(Method::GET, &format!("servers/{server}"), Value::Null).await;
    assert_eq!(shown.0, 200, "it sees other projects' servers");
    let action = format!("servers/{server}/action");
    let refused = [
        (Method::DELETE, format!("servers/{server}"), Value::Null),
        (Method::DELETE, format!("os-services/{service}"), Value::Null),
        (Method::POST, action.clone(), json!({"os-resetState": {"state": "error"}})),
        (Method::POST, action.clone(), json!({"os-start": null})),
        (Method::POST, action.clone(), json!({"os-getConsoleOutput": {}})),
        (Method::POST, action, json!({"rebuild": {"imageRef": server}})),
        (
            Method::POST,
            "flavors".to_owned(),
            json!({"flavor":
            {"name": "theirs", "vcpus": 1, "ram": 1, "disk": 1}}),
        ),
        (Method::GET, "os-availability-zone/detail".to_owned(), Value::Null),
    ];
    for (method, path, body) in &refused {
        let (status, said) = thief.ask(method.clone(), path, body.clone()).await;
        assert_eq!(status, 403, "{method} {path}: {said}");
    }
    world.raw.delete(server).await;
    let of_images = images(&world, &thief).await;
    let kinds = refused.len() + of_images;
    let text = format!("{kinds} kinds of requests, each answered with 403");
    told.saw("least privilege", text);
}

/// It lists the images of other projects, and that is all. Answers how many kinds of requests were refused.
async fn images(world: &World, thief: &Thief) -> usize {
    let image = world.raw.make_image("not-theirs", &["evacuable"]).await;
    let url = format!("{}/images", world.raw.glance());
    let (status, listed) =
        thief.ask_at(Method::GET, &format!("{url}?tag=evacuable"), Value::Null).await;
    assert_eq!(status, 200, "{listed}");
    let listed = listed["images"].as_array().unwrap();
    assert!(listed.iter().any(|row| row["id"] == image.as_str()), "{listed:?}");
    let refused = [
        (Method::POST, url.clone(), json!({"name": "theirs"})),
        (Method::GET, format!("{url}/{image}/file"), Value::Null),
        (Method::PUT, format!("{url}/{image}/tags/theirs"), Value::Null),
        (Method::DELETE, format!("{url}/{image}"), Value::Null),
    ];
    for (method, url, body) in &refused {
        let (status, said) = thief.ask_at(method.clone(), url, body.clone()).await;
        assert_eq!(status, 403, "{method} {url}: {said}");
    }
    world.raw.delete_image(&image).await;
    refused.len()
}

struct Thief {
    http: reqwest::Client,
    nova: String,
    token: String,
}

impl Thief {
    async fn new(world: &World) -> Thief {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let read = |key: &str| {
            let text = std::fs::read_to_string(&world.env[key]).unwrap();
            text.trim().to_owned()
        };
        let body = json!({"auth": {"identity": {"methods": ["application_credential"],
            "application_credential": {
                "id": read("HOLDFAST_NOVA_CREDENTIAL_ID_FILE"),
                "secret": read("HOLDFAST_NOVA_CREDENTIAL_SECRET_FILE")}}}});
        let url = format!("{}/auth/tokens", world.env["HOLDFAST_NOVA_AUTH_URL"]);
        let answer = http.post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "the application credential gives a token");
        let token = answer.headers()["X-Subject-Token"].to_str().unwrap().to_owned();
        Thief { http, nova: world.env["HOLDFAST_NOVA_COMPUTE_URL"].clone(), token }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.ask_at(method, &format!("{}/{path}", self.nova), body).await
    }

    async fn ask_at(&self, method: Method, url: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, url);
        let request = request.header("X-Auth-Token", &self.token);
        let mut request = request.header("OpenStack-API-Version", "compute 2.53");
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }
}
