package dev.assay.sdk;

import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;

/** Everything of AssayClient against a running service: prints what a test then checks. */
public final class TryTokens {
    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        String storage = arguments[1];
        stored(url, storage);
        inHardware(url);
        failing(url);
    }

    private static void stored(String url, String storage) throws Exception {
        AssayClient.Builder builder = new AssayClient.Builder(url, "shop", "3.2.0").storage(storage)
                .deviceFact("model", "jvm");
        try (AssayClient assay = builder.build()) {
            assay.prefetch();
            try (AssayClient.Token token = assay.fetch()) {
                print("status", token.status());
                print("token", token.text());
                byte[] body = AssayClient.utf8("{\"code\":\"attestation_required\"}");
                print("reaction", token.react(401, body, null).reaction);
                AssayClient.React wait = token.react(503, AssayClient.utf8("{\"code\":\"overloaded\"}"), "2");
                print("wait", wait.reaction + " " + (wait.waitMillis >= 2000 && wait.waitMillis <= 2500));
                print("nothing", token.react(200, null, null).reaction);
            }
            try (AssayClient.Token bound = assay.fetch("Bearer älice")) {
                print("bound", bound.text());
            }
            try (AssayClient.Token renewed = assay.rotateDeviceKey()) {
                print("renewed", renewed.text());
            }
            print("signature", assay.sign(new byte[100]).length + " " + assay.sign(new byte[32]));
            print("invalidated", assay.invalidateAll());
            assay.networkChanged();
        }
    }

    /** A key as Android Keystore has it, and evidence that comes from another thread. */
    private static void inHardware(String url) throws Exception {
        try (AssayClient assay = new AssayClient.Builder(url, "shop", "3.2.0").deviceKey(new Keystore(false))
                .evidence(new Platform(false), AppEvidence.PLAY_INTEGRITY, AppEvidence.ANDROID_KEY).build();
                AssayClient.Token token = assay.fetch()) {
            print("hardware", token.text());
        }
    }

    private static void failing(String url) throws Exception {
        try (AssayClient assay = new AssayClient.Builder(url, "shop", "3.2.0").deviceKey(new Keystore(true)).build()) {
            assay.fetch();
        } catch (AssayException thrown) {
            print("key that throws", thrown.status + " " + thrown.getMessage().contains("its callback returned"));
        }
        try (AssayClient assay = new AssayClient.Builder(url, "shop", "3.2.0")
                .evidence(new Platform(true), AppEvidence.PLAY_INTEGRITY).build()) {
            assay.fetch();
        } catch (AssayException thrown) {
            print("platform that throws", thrown.status + " " + thrown.getMessage().contains("the app threw"));
        }
        try {
            new AssayClient.Builder(url, "shop", "3.2.0").buildLabel("not a word").build().close();
            print("label", "opened");
        } catch (AssayException thrown) {
            print("label", thrown.getMessage().contains("not a word"));
        }
        try {
            new AssayClient.Builder("http://far.example/v1", "shop", "1").build().close();
            print("far", "opened");
        } catch (AssayException thrown) {
            print("far", thrown.getMessage().contains("not https"));
        }
        AssayClient closed = new AssayClient.Builder(url, "shop", "3.2.0").build();
        closed.close();
        closed.close();
        try {
            closed.fetch();
        } catch (IllegalStateException thrown) {
            print("closed", thrown.getMessage());
        }
    }

    private static final class Keystore implements DeviceKey {
        private final KeyPair pair;
        private final boolean locked;

        Keystore(boolean locked) throws Exception {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(new ECGenParameterSpec("secp256r1"));
            this.pair = generator.generateKeyPair();
            this.locked = locked;
        }

        @Override
        public byte[] publicKey() {
            return pair.getPublic().getEncoded();
        }

        @Override
        public byte[] sign(byte[] message) throws Exception {
            if (locked) {
                throw new IllegalStateException("locked");
            }
            Signature signature = Signature.getInstance("SHA256withECDSA");
            signature.initSign(pair.getPrivate());
            signature.update(message);
            return signature.sign();
        }
    }

    private static final class Platform implements AppEvidence {
        private final boolean broken;

        Platform(boolean broken) {
            this.broken = broken;
        }

        @Override
        public boolean isAvailable(int kind) {
            return kind == PLAY_INTEGRITY;
        }

        @Override
        public void make(int kind, byte[] transcript, byte[] transcriptWithoutDeviceKey, Answer answer) {
            if (broken) {
                throw new IllegalStateException("no Play services");
            }
            new Thread(() -> {
                answer.complete(transcript);
                answer.complete(transcript);
                answer.fail("too late");
            }).start();
        }
    }

    static void print(String name, Object value) {
        System.out.println(name + ": " + value);
    }
}
