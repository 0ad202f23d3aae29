// Java as two judges: CertPath on files, and the TLS of the JDK over connections. Arguments: address, port. Standard
// input: one question a line, with tabs:
//
//     purpose  name  trusted root  own chain  own key  chain
//
// A line of which the purpose begins with "path:" is for CertPath alone and makes no connection. A peer judged as a
// "server" is connected to and must be called by the name; one judged as a "client" is asked for its certificate by us
// as its server. Prints "accepted" or "refused: why". What goes wrong besides ends the program: it is no verdict.

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

public class Validate {
    private static final char[] PASSWORD = "changeit".toCharArray();
    private static KeyManager[] ours;

    public static void main(String[] arguments) throws Exception {
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in));
        for (String line = questions.readLine(); line != null; line = questions.readLine()) {
            String[] asked = line.split("\t");
            try {
                if (asked[0].startsWith("path:")) {
                    validate(read(asked[5]), read(asked[2]).get(0));
                } else {
                    shakeHands(asked, arguments[0], Integer.parseInt(arguments[1]));
                }
                System.out.println("accepted");
            } catch (GeneralSecurityException | SSLException refused) {
                System.out.println("refused: " + String.valueOf(refused.getMessage()).replace('\n', ' '));
            }
        }
    }

    private static void validate(List<X509Certificate> chain, X509Certificate root) throws Exception {
        if (chain.get(chain.size() - 1).getSubjectX500Principal().equals(root.getSubjectX500Principal())) {
            chain.remove(chain.size() - 1);  // the anchor is no part of the path (RFC 5280 6.1)
        }
        PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
        parameters.setRevocationEnabled(false);
        CertPathValidator.getInstance("PKIX")
            .validate(CertificateFactory.getInstance("X.509").generateCertPath(chain), parameters);
    }

    private static void shakeHands(String[] asked, String address, int port) throws Exception {
        boolean ofServer = asked[0].equals("server");
        try (Socket plain = new Socket(address, port)) {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(ofServer ? null : ourKey(asked[3], asked[4]), trusting(asked[2]).getTrustManagers(), null);
            SSLSocketFactory sockets = context.getSocketFactory();
            SSLSocket tls;
            if (ofServer) {
                tls = (SSLSocket) sockets.createSocket(plain, asked[1], port, true);
                SSLParameters parameters = tls.getSSLParameters();
                parameters.setEndpointIdentificationAlgorithm("HTTPS");
                tls.setSSLParameters(parameters);
            } else {
                tls = (SSLSocket) sockets.createSocket(plain, null, true);
                tls.setNeedClientAuth(true);
            }
            tls.startHandshake();
            tls.close();
        }
    }

    private static TrustManagerFactory trusting(String rootFile) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setCertificateEntry("root", read(rootFile).get(0));
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        return factory;
    }

    // The same for all questions. A fault of ours is no verdict on a peer.
    private static KeyManager[] ourKey(String chainFile, String keyFile) throws Exception {
        if (ours == null) {
            try {
                ours = load(chainFile, keyFile);
            } catch (GeneralSecurityException fault) {
                throw new IllegalStateException(fault);
            }
        }
        return ours;
    }

    private static KeyManager[] load(String chainFile, String keyFile) throws Exception {
        String text = Files.readString(Path.of(keyFile)).replaceAll("-----[A-Z ]+-----|\\s", "");
        PKCS8EncodedKeySpec key = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text));
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        Certificate[] chain = read(chainFile).toArray(new Certificate[0]);
        store.setKeyEntry("own", KeyFactory.getInstance("EC").generatePrivate(key), PASSWORD, chain);
        KeyManagerFactory factory = KeyManagerFactory.getInstance("PKIX");
        factory.init(store, PASSWORD);
        return factory.getKeyManagers();
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
