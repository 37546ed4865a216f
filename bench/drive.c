/*
 * The inner loop of the load generator.
 *
 * A lane is one sender and the connections its message must reach. Every connection of a lane, the sender's too (its
 * acknowledgement, or its own copy), is due exactly one frame per message; when all have theirs, the lane sends its
 * next message. Frames are found by their headers alone. Connecting, signing in and checking what a frame says is
 * Python's part (generator.py, clients/), which hands over connected sockets with nothing left to read.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum framing { WEBSOCKET = 0, ENGINE_IO = 1, MQTT = 2 };
enum outcome { DONE = 0, STALLED = 1, CLOSED = 2, SURPLUS = 3, SYSTEM = 4, TOO_LONG = 5 };

enum { BUFFER = 16384, EVENTS = 256, COUNTER_DIGITS = 8 };

struct lane {
    int32_t sender;       /* file descriptor */
    int32_t connections;  /* frames due per message */
    int32_t length;       /* of message */
    int32_t counter_at;   /* where the message's number goes, as eight digits; -1: nowhere */
    unsigned char *message;
    /* Below: used by this file only. */
    int64_t sent_ns;
    int32_t number;       /* of the last message; goes on from run to run */
    int32_t sent;         /* in this run */
    int32_t due;
};

struct connection {
    int32_t socket;
    int32_t lane;
    /* Below: used by this file only. */
    int32_t received;
    int32_t held;
    unsigned char buffer[BUFFER];
};

struct result {
    int64_t messages;
    int64_t elapsed_ns;
    int64_t latencies; /* how many were written to latency_us */
    int32_t culprit;   /* the connection an error is about; if stalled, how many frames were still due */
    int32_t error;     /* errno */
};

static int64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static int put(int socket, const unsigned char *bytes, int length) {
    return send(socket, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) == length ? DONE : SYSTEM;
}

static int send_next(struct lane *lane) {
    lane->sent++;
    lane->number++;
    lane->due = lane->connections;
    if (lane->counter_at >= 0)
        for (int digit = COUNTER_DIGITS - 1, rest = lane->number; digit >= 0; digit--, rest /= 10)
            lane->message[lane->counter_at + digit] = '0' + rest % 10;
    lane->sent_ns = now_ns();
    return put(lane->sender, lane->message, lane->length);
}

/* Find one WebSocket frame from a server. Return its length, 0 if it is not all there; set where its payload is. */
static int websocket_frame(const unsigned char *at, int have, int *payload) {
    if (have < 2) return 0;
    uint64_t length = at[1] & 0x7f;
    int header = length == 126 ? 4 : length == 127 ? 10 : 2;
    if (have < header) return 0;
    if (header > 2) {
        length = 0;
        for (int i = 2; i < header; i++) length = length << 8 | at[i];
    }
    *payload = header;
    if (length > BUFFER) return BUFFER + 1;
    return have < header + (int)length ? 0 : header + (int)length;
}

static int mqtt_frame(const unsigned char *at, int have) {
    int length = 0, header = 1;
    do {
        if (header >= have) return 0;
        length |= (at[header] & 0x7f) << 7 * (header - 1);
    } while (at[header++] & 0x80 && header < 5);
    if (length > BUFFER) return BUFFER + 1;
    return have < header + length ? 0 : header + length;
}

/* Answer a WebSocket ping with a pong (masked with zeros), an Engine.IO ping "2" with a pong "3". */
static int answer_ping(int socket, enum framing framing, const unsigned char *payload, int length) {
    unsigned char pong[6 + 125] = {framing == ENGINE_IO ? 0x81 : 0x8a, 0x80 | length};
    memcpy(pong + 6, payload, length);
    if (framing == ENGINE_IO) pong[6] = '3';
    return put(socket, pong, 6 + length);
}

/* Say whether a frame is a message (1), something to pass over (0) or the end (-1). Pings are answered here. */
static int classify(struct connection *connection, enum framing framing, const unsigned char *at, int length,
                    int payload) {
    if (framing == MQTT) return at[0] >> 4 == 3; /* PUBLISH */
    int opcode = at[0] & 0x0f;
    if (opcode == 8) return -1;
    if (opcode == 9) {
        answer_ping(connection->socket, WEBSOCKET, at + payload, length - payload);
        return 0;
    }
    if (opcode > 2) return 0;
    if (framing == ENGINE_IO) {
        if (at[payload] == '2') answer_ping(connection->socket, ENGINE_IO, at + payload, length - payload);
        return at[payload] == '4';
    }
    return 1;
}

/* Read what a connection has and count its frames; tell how many messages are among them. */
static int take(struct connection *connection, enum framing framing, int *messages) {
    ssize_t got = recv(connection->socket, connection->buffer + connection->held, BUFFER - connection->held, MSG_DONTWAIT);
    if (got == 0) return CLOSED;
    if (got < 0) return errno == EAGAIN || errno == EINTR ? DONE : SYSTEM;
    int have = connection->held + (int)got, start = 0;
    for (;;) {
        unsigned char *at = connection->buffer + start;
        int payload = 0;
        int length = framing == MQTT ? mqtt_frame(at, have - start) : websocket_frame(at, have - start, &payload);
        if (length > BUFFER) return TOO_LONG;
        if (length == 0) break;
        int kind = classify(connection, framing, at, length, payload);
        if (kind < 0) return CLOSED;
        *messages += kind;
        start += length;
    }
    connection->held = have - start;
    if (start && connection->held) memmove(connection->buffer, connection->buffer + start, connection->held);
    return DONE;
}

/*
 * Drive all lanes for run_ns and until the last message has arrived everywhere; give up when nothing arrives for
 * stall_ns. latency_us gets the time from send to last arrival of each message, up to max_latencies of them.
 */
int drive(int framing, struct lane *lanes, int lane_count, struct connection *connections, int connection_count,
          int64_t run_ns, int64_t stall_ns, uint32_t *latency_us, int64_t max_latencies, struct result *result) {
    struct epoll_event events[EVENTS];
    int outcome = DONE, poll = epoll_create1(0), open_lanes = lane_count;
    memset(result, 0, sizeof *result);
    if (poll < 0) return SYSTEM;
    for (int i = 0; i < connection_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        connections[i].received = connections[i].held = 0;
        if (epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].socket, &event)) outcome = SYSTEM;
    }
    int64_t started = now_ns(), heard = started;
    for (int i = 0; i < lane_count && outcome == DONE; i++) {
        lanes[i].sent = 0;
        outcome = send_next(&lanes[i]);
    }
    while (outcome == DONE && open_lanes) {
        int ready = epoll_wait(poll, events, EVENTS, 100);
        int64_t now = now_ns();
        if (ready > 0) heard = now;
        else if (now - heard > stall_ns) outcome = STALLED;
        for (int i = 0; i < ready && outcome == DONE; i++) {
            struct connection *connection = &connections[events[i].data.u32];
            struct lane *lane = &lanes[connection->lane];
            int messages = 0;
            result->culprit = events[i].data.u32;
            outcome = take(connection, framing, &messages);
            if (outcome != DONE || !messages) continue;
            connection->received += messages;
            if (connection->received > lane->sent) outcome = SURPLUS;
            lane->due -= messages;
            if (outcome != DONE || lane->due) continue;
            int64_t arrived = now_ns();
            if (result->latencies < max_latencies)
                latency_us[result->latencies++] = (uint32_t)((arrived - lane->sent_ns) / 1000);
            result->messages++;
            if (arrived - started < run_ns) outcome = send_next(lane);
            else open_lanes--;
        }
    }
    if (outcome == STALLED) {
        result->culprit = 0;
        for (int i = 0; i < lane_count; i++) result->culprit += lanes[i].due;
    }
    result->error = outcome == SYSTEM ? errno : 0;
    result->elapsed_ns = now_ns() - started;
    close(poll);
    return outcome;
}

int connection_size(void) { return sizeof(struct connection); }
int lane_size(void) { return sizeof(struct lane); }
