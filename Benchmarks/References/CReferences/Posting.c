#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "Stopwatch.h"

typedef struct {
    CURLM *multi;
    int epoll;
    /// When curl wants to be called without an event, on the clock of `stopwatch_now`; negative: not.
    double timer;
    size_t asked;
    size_t started;
    size_t ended;
    size_t completed;
    reference_result *out;
} posting;

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *known) {
    (void)easy;
    posting *run = context;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(run->epoll, EPOLL_CTL_DEL, socket, NULL);
        curl_multi_assign(run->multi, socket, NULL);
        return 0;
    }
    struct epoll_event event = {.data.fd = socket};
    if (what & CURL_POLL_IN) event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
    epoll_ctl(run->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
    curl_multi_assign(run->multi, socket, run);
    return 0;
}

static int on_timer(CURLM *multi, long milliseconds, void *context) {
    (void)multi;
    posting *run = context;
    run->timer = milliseconds < 0 ? -1 : stopwatch_now() + (double)milliseconds / 1e3;
    return 0;
}

static size_t drop(char *bytes, size_t size, size_t count, void *context) {
    (void)bytes;
    (void)context;
    return size * count;
}

static CURL *make_easy(const char *url, const void *body, size_t length, struct curl_slist *headers) {
    CURL *easy = curl_easy_init();
    if (easy == NULL) return NULL;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    return easy;
}

static void collect(posting *run) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(run->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        run->ended++;
        if (code == CURLE_OK && status >= 200 && status < 300) {
            run->completed++;
        } else if (code != CURLE_OK) {
            stopwatch_blame(run->out, curl_easy_strerror(code));
        } else {
            char text[32];
            snprintf(text, sizeof text, "answered with %ld", status);
            stopwatch_blame(run->out, text);
        }
        curl_multi_remove_handle(run->multi, easy);
        if (run->started < run->asked) {
            run->started++;
            curl_multi_add_handle(run->multi, easy);
        }
    }
}

static void loop(posting *run, const stopwatch *watch) {
    struct epoll_event events[256];
    int running = 0;
    while (run->ended < run->asked) {
        int wait = stopwatch_left_ms(watch, 1000);
        if (wait == 0) break;
        if (run->timer >= 0) {
            double until = (run->timer - stopwatch_now()) * 1e3;
            if (until <= 0) wait = 0;
            else if (until < wait) wait = (int)until + 1;
        }
        int count = epoll_wait(run->epoll, events, 256, wait);
        for (int i = 0; i < count; i++) {
            int what = 0;
            if (events[i].events & EPOLLIN) what |= CURL_CSELECT_IN;
            if (events[i].events & EPOLLOUT) what |= CURL_CSELECT_OUT;
            if (events[i].events & (EPOLLERR | EPOLLHUP)) what |= CURL_CSELECT_ERR;
            curl_multi_socket_action(run->multi, events[i].data.fd, what, &running);
        }
        if (run->timer >= 0 && stopwatch_now() >= run->timer) {
            run->timer = -1;
            curl_multi_socket_action(run->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        collect(run);
    }
}

static int run_all(posting *run, CURL **easies, size_t in_flight, double time_limit_s) {
    stopwatch watch = stopwatch_start(time_limit_s);
    for (size_t i = 0; i < in_flight && run->started < run->asked; i++) {
        run->started++;
        curl_multi_add_handle(run->multi, easies[i]);
    }
    loop(run, &watch);
    stopwatch_stop(&watch, run->asked, run->completed, run->out);
    return 0;
}

int reference_curl(const char *url, size_t requests, size_t in_flight, const void *body, size_t length,
                   double time_limit_s, reference_result *out) {
    memset(out, 0, sizeof *out);
    out->failed = requests;
    if (in_flight == 0) in_flight = 1;
    if (in_flight > requests) in_flight = requests;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    posting run = {.multi = curl_multi_init(), .epoll = epoll_create1(EPOLL_CLOEXEC), .timer = -1, .asked = requests, .out = out};
    // An empty Expect: curl would otherwise ask before it sends a large body.
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    CURL **easies = calloc(in_flight + 1, sizeof *easies);
    int ready = run.multi != NULL && run.epoll >= 0 && headers != NULL && easies != NULL;
    for (size_t i = 0; ready && i < in_flight; i++) {
        easies[i] = make_easy(url, body, length, headers);
        ready = easies[i] != NULL;
    }
    int result = -1;
    if (ready) {
        curl_multi_setopt(run.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(run.multi, CURLMOPT_SOCKETDATA, &run);
        curl_multi_setopt(run.multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(run.multi, CURLMOPT_TIMERDATA, &run);
        curl_multi_setopt(run.multi, CURLMOPT_MAXCONNECTS, (long)in_flight);
        result = run_all(&run, easies, in_flight, time_limit_s);
    } else {
        stopwatch_blame(out, strerror(errno != 0 ? errno : ENOMEM));
    }
    for (size_t i = 0; easies != NULL && i < in_flight && easies[i] != NULL; i++) {
        curl_multi_remove_handle(run.multi, easies[i]);
        curl_easy_cleanup(easies[i]);
    }
    if (run.multi != NULL) curl_multi_cleanup(run.multi);
    if (run.epoll >= 0) close(run.epoll);
    curl_slist_free_all(headers);
    free(easies);
    return result;
}
