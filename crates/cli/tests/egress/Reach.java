import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Fetches a page in one of the ways that Java programs have: Reach WAY URL. */
public final class Reach {
    public static void main(String[] arguments) throws Exception {
        URI uri = URI.create(arguments[1]);
        switch (arguments[0]) {
            case "connection" -> {
                HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection();
                print(connection.getInputStream());
            }
            case "client" -> {
                HttpRequest request = HttpRequest.newBuilder(uri).build();
                HttpClient client = HttpClient.newHttpClient();
                System.out.print(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
            }
            // Knows of no proxy, whatever the properties say.
            case "socket" -> {
                java.net.InetSocketAddress address = new java.net.InetSocketAddress(uri.getHost(), uri.getPort());
                try (Socket socket = new Socket(java.net.Proxy.NO_PROXY)) {
                    socket.connect(address);
                    String head = "GET " + uri.getPath() + " HTTP/1.0\r\nHost: " + uri.getHost() + "\r\n\r\n";
                    socket.getOutputStream().write(head.getBytes());
                    print(socket.getInputStream());
                }
            }
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void print(InputStream stream) throws Exception {
        System.out.print(new String(stream.readAllBytes()));
    }
}
