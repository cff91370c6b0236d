#ifndef CKAFKA_H
#define CKAFKA_H
#endif
