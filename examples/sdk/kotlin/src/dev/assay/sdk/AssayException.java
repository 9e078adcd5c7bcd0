package dev.assay.sdk;

import java.io.IOException;

/** There is no token; {@link #status} is the word for it. An IOException, so that HTTP clients carry it out as they should. */
public final class AssayException extends IOException {
    private static final long serialVersionUID = 1L;

    /** SUCCESS never; NO_NETWORK, POOR_NETWORK, MITM_DETECTED, NO_ASSAY_SERVICE, RATE_LIMITED, BAD_URL, REJECTED, INTERNAL_ERROR. */
    public final String status;

    AssayException(String status, String message) {
        super(status + ": " + message);
        this.status = status;
    }
}
