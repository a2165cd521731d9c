// Ask for probabilities and say what was clicked:  java docs/examples/Predict.java http://127.0.0.1:8000
// Java 11 or later. The JDK has no JSON: write and read it with your own library, the answer's token included.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Predict {
    // One client per process: it keeps connections open. HTTP/1.1, so that it does not ask for an upgrade first.
    private static final HttpClient CLIENT = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .build();
    private static final Pattern REQUEST_ID = Pattern.compile("\"request_id\":\"([^\"]+)\"");

    public static void main(String[] arguments) throws Exception {
        // What the page can spare, for the whole call: connecting, sending, waiting, reading.
        long deadlineMs = arguments.length > 1 ? Long.parseLong(arguments[1]) : 500;
        for (int i = 0; i < 3; i++) {
            String answer = post(arguments[0] + "/predict", deadlineMs, String.join("",
                    "{\"unit\": \"user-42\",",
                    " \"context\": {\"user_id\": \"42\", \"gender\": \"M\", \"age\": 25, \"occupation\": 4,",
                    " \"zip_code\": \"94110\"},",
                    " \"items\": [1, 2, 3]}"));
            System.out.println(answer);
            Matcher id = REQUEST_ID.matcher(answer);
            id.find();
            String event = "{\"request_id\": \"" + id.group(1) + "\", \"item\": 2, \"type\": ";
            post(arguments[0] + "/feedback", deadlineMs,
                    "{\"events\": [" + event + "\"impression\"}, " + event + "\"click\"}]}");
        }
    }

    // The request's timeout ends with the answer's head; waiting for the future bounds the whole call.
    private static String post(String url, long deadlineMs, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url))
                .header("Content-Type", "application/json")
                .timeout(Duration.ofMillis(deadlineMs))
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build();
        HttpResponse<String> response = CLIENT.sendAsync(request, HttpResponse.BodyHandlers.ofString())
                .get(deadlineMs, TimeUnit.MILLISECONDS);
        if (response.statusCode() != 200) { // application/problem+json: the detail says where and what
            throw new IllegalStateException("HTTP " + response.statusCode() + ": " + response.body());
        }
        return response.body();
    }
}
