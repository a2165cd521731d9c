def test_smoke(client, bundle):
    ex = bundle.example
    for body in ({"candidates": ex["candidates"]}, {"items": ex["items"]}):
        r = client.post("/predict", json={"context": ex["context"], **body})
        print(r.status_code, r.text, r.headers)
        assert r.status_code == 200
    for p in ("/healthz", "/readyz", "/models", "/metrics", "/openapi.json", "/nope"):
        r = client.get(p)
        print(p, r.status_code, r.text[:3000])
    r = client.get("/predict"); print(r.status_code, r.text, r.headers)
    r = client.post("/predict"); print(r.status_code, r.text, r.headers)
