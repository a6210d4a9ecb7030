//! Sends one V1 and one V2 request with ureq.

const V1: &str = r#"{"instances": [[21.2, 18.9, 17.7, 17.1, 16.8, 0.17]]}"#;
const V2: &str = r#"{"inputs": [{"name": "x", "shape": [1, 6], "datatype": "FP64",
    "data": [21.2, 18.9, 17.7, 17.1, 16.8, 0.17]}]}"#;

fn main() -> Result<(), ureq::Error> {
    let url = std::env::args().nth(1).expect("usage: client URL");
    for (path, body) in [
        ("/v1/models/skyclass-spectroscopic:predict", V1),
        ("/v2/models/skyclass-spectroscopic/infer", V2),
    ] {
        let mut response = ureq::post(format!("{url}{path}"))
            .content_type("application/json")
            .send(body)?;
        println!("{}", response.body_mut().read_to_string()?);
    }
    Ok(())
}
