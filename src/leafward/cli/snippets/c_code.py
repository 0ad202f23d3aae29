"""C, with Azure's own client."""

from leafward.cli.snippets.leaf import Leaf, fill, text

_CODE = r"""/* azure-iot-sdk-c: link iothub_client, iothub_client_mqtt_transport, umqtt, aziotsharedutil */
#include <stdio.h>
#include <stdlib.h>
#include "azure_c_shared_utility/shared_util_options.h"
#include "azure_c_shared_utility/threadapi.h"
#include "iothub.h"
#include "iothub_client_options.h"
#include "iothub_device_client_ll.h"
#include "iothub_message.h"
#include "iothubtransportmqtt.h"

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = file == NULL ? NULL : calloc(65536, 1);
    if (text == NULL || fread(text, 1, 65535, file) == 0) { fprintf(stderr, "cannot read %s\n", path); exit(1); }
    fclose(file);
    return text;
}

static void sent(IOTHUB_CLIENT_CONFIRMATION_RESULT result, void *done)
{
    printf(result == IOTHUB_CLIENT_CONFIRMATION_OK ? "sent\n" : "not sent: %d\n", (int)result);
    *(int *)done = 1;
}

int main(void)
{
    int done = 0;
    IoTHub_Init();
    IOTHUB_DEVICE_CLIENT_LL_HANDLE client = IoTHubDeviceClient_LL_CreateFromConnectionString(
        @CONNECTION@, MQTT_Protocol);
    if (client == NULL) return 1;
    IoTHubDeviceClient_LL_SetOption(client, OPTION_TRUSTED_CERT, read_file(@ROOT@));@OPTIONS@
    IOTHUB_MESSAGE_HANDLE message = IoTHubMessage_CreateFromString("{\"temperature\": 21.5}");
    IoTHubMessage_SetContentTypeSystemProperty(message, "application%2fjson");
    IoTHubMessage_SetContentEncodingSystemProperty(message, "utf-8");
    IoTHubDeviceClient_LL_SendEventAsync(client, message, sent, &done);
    IoTHubMessage_Destroy(message);
    while (!done) {
        IoTHubDeviceClient_LL_DoWork(client);
        ThreadAPI_Sleep(10);
    }
    IoTHubDeviceClient_LL_Destroy(client);
    IoTHub_Deinit();
    return 0;
}
"""
_CERTIFICATE = """
    IoTHubDeviceClient_LL_SetOption(client, OPTION_X509_CERT, read_file(@CERTIFICATE@));
    IoTHubDeviceClient_LL_SetOption(client, OPTION_X509_PRIVATE_KEY, read_file(@KEY@));"""


def write(leaf: Leaf) -> str:
    """The program."""
    options = fill(_CERTIFICATE, CERTIFICATE=text(leaf.certificate), KEY=text(leaf.private_key)) if leaf.x509 else ""
    return fill(_CODE, CONNECTION=text(leaf.connection_string), ROOT=text(leaf.root), OPTIONS=options)
