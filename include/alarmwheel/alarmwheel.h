/* SPDX-License-Identifier: MIT */
/* alarmwheel.h: all of alarmwheel. */
#ifndef ALARMWHEEL_H
#define ALARMWHEEL_H

#include <alarmwheel/base.h>
#include <alarmwheel/child.h>
#include <alarmwheel/engine.h>
#include <alarmwheel/guard.h>
#include <alarmwheel/io.h>
#include <alarmwheel/itimer.h>
#include <alarmwheel/safepoint.h>
#include <alarmwheel/signal.h>
#include <alarmwheel/timer.h>
#include <alarmwheel/wheel.h>

#endif
