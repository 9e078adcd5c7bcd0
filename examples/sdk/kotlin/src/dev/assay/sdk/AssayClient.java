package dev.assay.sdk;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** One client for the whole app, from any thread. Plain Java, so that it serves Kotlin and Java alike. */
public final class AssayClient implements AutoCloseable {
    /** What to do with a gateway's answer. */
    public enum Reaction { DELIVER, RETRY, FETCH_AGAIN, WAIT }

    /** A reaction, and for WAIT the milliseconds. */
    public static final class React {
        public final Reaction reaction;
        public final long waitMillis;

        React(Reaction reaction, long waitMillis) {
            this.reaction = reaction;
            this.waitMillis = waitMillis;
        }
    }

    /** A token in hand. Close it when the request's answer has been reacted to: that wipes the native copy. */
    public final class Token implements AutoCloseable {
        private long outcome;

        private Token(long outcome) {
            this.outcome = outcome;
        }

        /** For the Assay-Token header. Never log it. */
        public String text() {
            return Native.token(alive(outcome));
        }

        /** SUCCESS, or why this is an older token. */
        public String status() {
            return Native.statusName(Native.status(alive(outcome)));
        }

        /** What to do with an answer; {@code body} only for 401, 403 and 503, {@code retryAfter} that header or null. */
        public React react(int status, byte[] body, String retryAfter) {
            long packed = Native.react(client(), alive(outcome), status, body, utf8(retryAfter));
            int reaction = (int) (packed & 0xff);
            Reaction[] known = Reaction.values();
            return new React(reaction < known.length ? known[reaction] : Reaction.DELIVER, packed >> 8);
        }

        /** So that the next fetch brings a new one; false: too often. */
        public boolean invalidate() {
            return Native.invalidate(client(), alive(outcome)) == 0;
        }

        @Override
        public void close() {
            long held = outcome;
            outcome = 0;
            Native.free(held);
        }
    }

    /** Settings. Only the three of the constructor are needed. */
    public static final class Builder {
        private final byte[] url;
        private final byte[] app;
        private final byte[] version;
        private byte[] label;
        private byte[] storage;
        private byte[] trustOnly;
        private final List<byte[]> facts = new ArrayList<>();
        private final List<byte[]> libraries = new ArrayList<>();
        private int[] kinds = new int[0];
        private AppEvidence evidence;
        private DeviceKey key;

        public Builder(String url, String app, String version) {
            this.url = utf8(url);
            this.app = utf8(app);
            this.version = utf8(version);
        }

        /** The build's label. On Android the ABI that runs: {@code Build.SUPPORTED_ABIS[0]}. */
        public Builder buildLabel(String label) {
            this.label = utf8(label);
            return this;
        }

        /** A folder of the SDK's alone, such as {@code File(context.noBackupFilesDir, "assay").path}. */
        public Builder storage(String folder) {
            storage = utf8(folder);
            return this;
        }

        /** A key in Android Keystore instead. */
        public Builder deviceKey(DeviceKey key) {
            this.key = key;
            return this;
        }

        public Builder deviceFact(String name, String value) {
            facts.add(utf8(name));
            facts.add(utf8(value));
            return this;
        }

        /** A native library that was named at registration. On Android at least one: there they are what is measured. */
        public Builder measureLibrary(String name) {
            libraries.add(utf8(name));
            return this;
        }

        /** Trust this PEM and nothing else. Needed on Android, whose own roots are Java's. */
        public Builder trustOnly(String pem) {
            trustOnly = utf8(pem);
            return this;
        }

        public Builder evidence(AppEvidence evidence, int... kinds) {
            this.evidence = evidence;
            this.kinds = kinds.clone();
            return this;
        }

        public AssayClient build() throws AssayException {
            return new AssayClient(Native.open(url, app, version, label, storage, facts.toArray(new byte[0][]),
                    libraries.toArray(new byte[0][]), trustOnly, kinds, evidence,
                    new Native.Answers(), key));
        }
    }

    private long handle;

    private AssayClient(long handle) {
        this.handle = handle;
    }

    /** Waits where no token is in hand: not for the main thread. {@code boundTo}: the header values that the route binds. */
    public Token fetch(String... boundTo) throws AssayException {
        byte[][] values = new byte[boundTo.length][];
        for (int at = 0; at < boundTo.length; at++) {
            values[at] = utf8(boundTo[at]);
        }
        return token(Native.fetch(client(), values));
    }

    /** So that a token is in hand when it is wanted: at the app's start. */
    public void prefetch() {
        Native.prefetch(client());
    }

    /** A new device key in storage; the old one vouches for it. Waits. */
    public Token rotateDeviceKey() throws AssayException {
        return token(Native.rotateDeviceKey(client()));
    }

    /** r || s over a message of more than 32 bytes, or null. */
    public byte[] sign(byte[] message) {
        return Native.sign(client(), message);
    }

    /** From a ConnectivityManager.NetworkCallback. */
    public void networkChanged() {
        Native.networkChanged(client());
    }

    /** After a user logged out; false: too often. */
    public boolean invalidateAll() {
        return Native.invalidate(client(), 0) == 0;
    }

    /** For the app's end, when no request is under way any more. */
    @Override
    public void close() {
        long held = handle;
        handle = 0;
        Native.close(held);
    }

    private Token token(long outcome) throws AssayException {
        if (Native.token(outcome) != null) {
            return new Token(outcome);
        }
        String status = Native.statusName(Native.status(outcome));
        String error = Native.error(outcome);
        Native.free(outcome);
        throw new AssayException(status, error);
    }

    private long client() {
        return alive(handle);
    }

    private static long alive(long handle) {
        if (handle == 0) {
            throw new IllegalStateException("closed");
        }
        return handle;
    }

    static byte[] utf8(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }
}
