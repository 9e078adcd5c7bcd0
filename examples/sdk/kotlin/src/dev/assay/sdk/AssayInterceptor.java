package dev.assay.sdk;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import okhttp3.Interceptor;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

/**
 * Puts a fresh token into every request to your gateway and follows its answers: after a 401 that wants a token the request
 * is sent once more with a new one; after a 429 or 503 that asks for a short wait, once more after it; everything else is
 * the app's. In Java because one source then fits OkHttp 3, 4 and 5; from Kotlin:
 *
 * <pre>
 * val http = OkHttpClient.Builder()
 *     .addInterceptor(AssayInterceptor(assay, setOf("api.example.com"), listOf("Authorization")))
 *     .followRedirects(false)   // OkHttp would carry the token to wherever the redirect points
 *     .build()
 * </pre>
 *
 * Add it after the interceptors that set the headers it binds to.
 */
public final class AssayInterceptor implements Interceptor {
    private static final long LONGEST_WAIT_MS = 4_000;
    private static final long LONGEST_PROBLEM = 16 * 1024;
    private static final Set<String> LOOPBACK = new HashSet<>(Arrays.asList("localhost", "127.0.0.1", "::1"));
    private static final Set<Integer> REFUSALS = new HashSet<>(Arrays.asList(401, 403, 503));

    private final AssayClient assay;
    private final Set<String> hosts;
    private final List<String> bindTo;
    private final String header;

    public AssayInterceptor(AssayClient assay, Set<String> hosts) {
        this(assay, hosts, Collections.emptyList());
    }

    public AssayInterceptor(AssayClient assay, Set<String> hosts, List<String> bindTo) {
        this(assay, hosts, bindTo, "Assay-Token");
    }

    /**
     * @param hosts  where tokens go, over https only (or to this machine); no other host sees one
     * @param bindTo the headers that the route binds tokens to, in its order
     */
    public AssayInterceptor(AssayClient assay, Set<String> hosts, List<String> bindTo, String header) {
        this.assay = assay;
        this.hosts = new HashSet<>(hosts);
        this.bindTo = bindTo;
        this.header = header;
    }

    @Override
    public Response intercept(Chain chain) throws IOException {
        Request request = chain.request();
        String host = request.url().host();
        if (!hosts.contains(host) || !(request.isHttps() || LOOPBACK.contains(host))) {
            return chain.proceed(request);
        }
        long wait;
        Response answer;
        try (AssayClient.Token token = assay.fetch(binding(request))) {
            answer = send(chain, request, token);
            wait = waitBeforeAgain(request, answer, react(token, answer));
        }
        if (wait < 0) {
            return answer;
        }
        answer.close();
        pause(wait);
        try (AssayClient.Token token = assay.fetch(binding(request))) {
            answer = send(chain, request, token);
            react(token, answer); // What it says about the token is for the next request.
            return answer;
        }
    }

    private Response send(Chain chain, Request request, AssayClient.Token token) throws IOException {
        return chain.proceed(request.newBuilder().header(header, token.text()).build());
    }

    /** The body only where it may be a refusal of the gateway's, and as a copy: the app can still read it. */
    private static AssayClient.React react(AssayClient.Token token, Response answer) throws IOException {
        byte[] problem = REFUSALS.contains(answer.code()) ? answer.peekBody(LONGEST_PROBLEM).bytes() : null;
        return token.react(answer.code(), problem, answer.header("Retry-After"));
    }

    /** Milliseconds until the request is sent again; -1: the answer is the app's. */
    private static long waitBeforeAgain(Request request, Response answer, AssayClient.React react) throws IOException {
        RequestBody body = request.body();
        if (body != null && body.contentLength() < 0) {
            return -1; // A stream: it may be there only once.
        }
        switch (react.reaction) {
            case RETRY:
                return 0;
            case WAIT:
                return answer.header("Retry-After") != null && react.waitMillis <= LONGEST_WAIT_MS ? react.waitMillis : -1;
            default:
                return -1;
        }
    }

    private static void pause(long millis) throws IOException {
        try {
            TimeUnit.MILLISECONDS.sleep(millis);
        } catch (InterruptedException cancelled) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("cancelled while the gateway was busy");
        }
    }

    /** The bound headers' values; none where one is absent or there twice: the gateway refuses such a request anyway. */
    private String[] binding(Request request) {
        String[] values = new String[bindTo.size()];
        for (int at = 0; at < values.length; at++) {
            List<String> all = request.headers(bindTo.get(at));
            if (all.size() != 1) {
                return new String[0];
            }
            values[at] = all.get(0);
        }
        return values;
    }
}
