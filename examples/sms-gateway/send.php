<?php
// Send an SMS: php send.php RECEIVER MESSAGE
// Any WebSocket library will do; this is what one does, with nothing but PHP itself: a request with the user's
// password, one frame, and the broker's word for it. The broker is the one of WSMB_URL, WSMB_USER, WSMB_PASSWORD.

function fail(string $why): never
{
    fwrite(STDERR, "send.php: $why\n");
    exit(1);
}

/** $payload as one masked text frame; what a client sends has to be masked (RFC 6455, 5.2). */
function frame(string $payload): string
{
    $size = strlen($payload);
    $head = match (true) {
        $size < 126 => pack('CC', 0x81, 0x80 | $size),
        $size < 65536 => pack('CCn', 0x81, 0x80 | 126, $size),
        default => pack('CCJ', 0x81, 0x80 | 127, $size),
    };
    $mask = random_bytes(4);
    return $head . $mask . ($payload ^ str_repeat($mask, intdiv($size, 4) + 1));
}

/** Exactly so many bytes. */
function take($connection, int $size): string
{
    $data = '';
    while (strlen($data) < $size) {
        $more = fread($connection, $size - strlen($data));
        if ($more === false || $more === '') {
            fail('the connection has ended; it is not known whether the message was sent');
        }
        $data .= $more;
    }
    return $data;
}

/** The opcode and the payload of the next frame; the broker sends each in one piece, and unmasked. */
function next_frame($connection): array
{
    [, $first, $size] = unpack('C2', take($connection, 2));
    [, $size] = match ($size) {
        126 => unpack('n', take($connection, 2)),
        127 => unpack('J', take($connection, 8)),
        default => [0, $size],
    };
    return [$first & 0x0F, $size ? take($connection, $size) : ''];
}

if ($argc !== 3) {
    fail('give a receiver and a message');
}
$url = parse_url(getenv('WSMB_URL') ?: 'ws://127.0.0.1:8888/');
$secure = $url['scheme'] === 'wss';
$address = ($secure ? 'tls://' : 'tcp://') . $url['host'] . ':' . ($url['port'] ?? ($secure ? 443 : 80));
$connection = @stream_socket_client($address, $error, $why, 10) ?: fail("$address: $why");
stream_set_timeout($connection, 10);

$credentials = base64_encode(getenv('WSMB_USER') . ':' . getenv('WSMB_PASSWORD'));
fwrite($connection, implode("\r\n", [
    'GET ' . ($url['path'] ?? '/') . ' HTTP/1.1',
    'Host: ' . $url['host'],
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: ' . base64_encode(random_bytes(16)),
    "Authorization: Basic $credentials",
    '',
    '',
]));
$status = rtrim((string) fgets($connection));
if (!str_contains($status, ' 101 ')) {
    fail($status === '' ? 'no answer' : $status);
}
while (rtrim((string) fgets($connection)) !== '') {
    // the other headers
}

fwrite($connection, frame(json_encode([
    'command' => 'send-message',
    'channel' => 'sms',
    'data' => [['receiver' => $argv[1], 'message' => $argv[2]]],
    'message_id' => bin2hex(random_bytes(16)),
    'confirm' => 1,
])));
while (true) {
    [$opcode, $payload] = next_frame($connection);
    $answer = $opcode === 1 ? json_decode($payload, true) : [];
    if (($answer['command'] ?? '') === 'confirm') {
        $answer['response_code'] === '00' || fail($answer['response_text']);
        exit(0);
    }
}
