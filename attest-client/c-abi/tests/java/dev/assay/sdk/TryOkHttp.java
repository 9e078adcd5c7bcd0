package dev.assay.sdk;

import java.util.Collections;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/** AssayInterceptor before a gateway: one line for each call. */
public final class TryOkHttp {
    public static void main(String[] arguments) throws Exception {
        String gateway = arguments[2];
        try (AssayClient assay = new AssayClient.Builder(arguments[0], "shop", "3.2.0").storage(arguments[1]).build()) {
            OkHttpClient http = new OkHttpClient.Builder()
                    .addInterceptor(new AssayInterceptor(assay, Collections.singleton("127.0.0.1"),
                            Collections.singletonList("Authorization")))
                    .followRedirects(false)
                    .build();
            for (String path : new String[] {"/wanted", "/busy", "/refused", "/after"}) {
                Request request = new Request.Builder().url(gateway + path).header("Authorization", "Bearer alice").build();
                try (Response answer = http.newCall(request).execute()) {
                    TryTokens.print(path, answer.code() + " " + answer.body().string());
                }
            }
            String elsewhere = gateway.replace("127.0.0.1", "localhost");
            try (Response answer = http.newCall(new Request.Builder().url(elsewhere + "/elsewhere").build()).execute()) {
                TryTokens.print("/elsewhere", answer.code());
            }
            http.dispatcher().executorService().shutdown();
            http.connectionPool().evictAll();
        }
    }
}
