// Sends one V1 and one V2 request with Node's fetch.
const row = [21.2, 18.9, 17.7, 17.1, 16.8, 0.17];
const requests = {
  "/v1/models/skyclass-spectroscopic:predict": { instances: [row] },
  "/v2/models/skyclass-spectroscopic/infer": {
    inputs: [{ name: "x", shape: [1, 6], datatype: "FP64", data: row }],
  },
};

for (const [path, request] of Object.entries(requests)) {
  const response = await fetch(process.argv[2] + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
  console.log(await response.text());
}
