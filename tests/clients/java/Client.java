import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** Sends one V1 and one V2 request with Java's HTTP client, which offers to upgrade to HTTP/2. */
class Client {
  static final String V1 = "{\"instances\": [[21.2, 18.9, 17.7, 17.1, 16.8, 0.17]]}";
  static final String V2 =
      "{\"inputs\": [{\"name\": \"x\", \"shape\": [1, 6], \"datatype\": \"FP64\","
          + " \"data\": [21.2, 18.9, 17.7, 17.1, 16.8, 0.17]}]}";

  public static void main(String[] arguments) throws Exception {
    var client = HttpClient.newHttpClient();
    post(client, arguments[0] + "/v1/models/skyclass-spectroscopic:predict", V1);
    post(client, arguments[0] + "/v2/models/skyclass-spectroscopic/infer", V2);
  }

  static void post(HttpClient client, String url, String body) throws Exception {
    var request =
        HttpRequest.newBuilder(URI.create(url))
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build();
    System.out.println(client.send(request, BodyHandlers.ofString()).body());
  }
}
