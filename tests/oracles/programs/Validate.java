// Java's CertPath and its TLS trust manager on a chain. Arguments: chain file, root file, key algorithm, "server" or
// "client". Prints "valid" or the reason.

import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

public class Validate {
    public static void main(String[] arguments) throws Exception {
        for (int at = 0; at < arguments.length; at += 4) {
            System.out.println(judge(arguments[at], arguments[at + 1], arguments[at + 2], arguments[at + 3]));
        }
    }

    private static String judge(String chainFile, String rootFile, String algorithm, String purpose) throws Exception {
        List<X509Certificate> chain = read(chainFile);
        X509Certificate root = read(rootFile).get(0);
        try {
            List<X509Certificate> path = new ArrayList<>(chain);
            path.removeIf(one -> one.getSubjectX500Principal().equals(one.getIssuerX500Principal()));
            PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
            parameters.setRevocationEnabled(false);
            CertPathValidator.getInstance("PKIX")
                .validate(CertificateFactory.getInstance("X.509").generateCertPath(path), parameters);
            X509Certificate[] presented = chain.toArray(new X509Certificate[0]);
            if (purpose.equals("server")) {
                trusting(root).checkServerTrusted(presented, "ECDHE_" + algorithm);
            } else {
                trusting(root).checkClientTrusted(presented, algorithm);
            }
            return "valid";
        } catch (java.security.GeneralSecurityException refused) {
            return "refused: " + refused.getMessage();
        }
    }

    private static X509TrustManager trusting(X509Certificate root) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setCertificateEntry("root", root);
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        return (X509TrustManager) factory.getTrustManagers()[0];
    }

    private static List<X509Certificate> read(String file) throws Exception {
        List<X509Certificate> found = new ArrayList<>();
        try (FileInputStream in = new FileInputStream(file)) {
            for (Certificate one : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                found.add((X509Certificate) one);
            }
        }
        return found;
    }
}
