"""Java, with Azure's own client (version 2). What Java itself trusts is left alone: the root stands in a context."""

from leafward.cli.snippets.leaf import Leaf, fill, text

_CODE = """\
// Maven: com.microsoft.azure.sdk.iot : iot-device-client : 2.x
import com.microsoft.azure.sdk.iot.device.ClientOptions;
import com.microsoft.azure.sdk.iot.device.DeviceClient;
import com.microsoft.azure.sdk.iot.device.IotHubClientProtocol;
import com.microsoft.azure.sdk.iot.device.Message;
import java.io.FileInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Leaf {
    public static void main(String[] arguments) throws Exception {
        KeyStore trusted = empty();
        trusted.setCertificateEntry("root", certificates(@ROOT@)[0]);
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLSv1.2");
        context.init(keys(), trust.getTrustManagers(), null);
        ClientOptions options = ClientOptions.builder().sslContext(context).build();
        DeviceClient client = new DeviceClient(
            @CONNECTION@,
            IotHubClientProtocol.MQTT,
            options);
        client.open(true);
        Message message = new Message("{\\"temperature\\": 21.5}".getBytes(StandardCharsets.UTF_8));
        message.setContentType("application/json");
        message.setContentEncoding("utf-8");
        client.sendEvent(message);
        System.out.println("sent");
        client.close();
    }

@KEYS@
    static KeyStore empty() throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        return store;
    }

    static Certificate[] certificates(String path) throws Exception {
        try (InputStream file = new FileInputStream(path)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(file).toArray(new Certificate[0]);
        }
    }
}
"""
_BY_KEY = """\
    static KeyManager[] keys() {
        return null;
    }
"""
_BY_CERTIFICATE = """\
    static KeyManager[] keys() throws Exception {
        String pem = new String(Files.readAllBytes(Paths.get(@KEY@)), StandardCharsets.US_ASCII);
        byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
        PrivateKey key = KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(der));
        KeyStore own = empty();
        own.setKeyEntry("device", key, new char[0], certificates(@CERTIFICATE@));
        KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        factory.init(own, new char[0]);
        return factory.getKeyManagers();
    }
"""


def write(leaf: Leaf) -> str:
    """The program, Leaf.java."""
    keys = _BY_KEY
    if leaf.x509:
        keys = fill(_BY_CERTIFICATE, KEY=text(leaf.private_key), CERTIFICATE=text(leaf.certificate))
    return fill(_CODE, ROOT=text(leaf.root), CONNECTION=text(leaf.connection_string), KEYS=keys)
