// Prints the structures of the kernel's GPIO interface as a C compiler lays
// them out. uapi.golden is its output:
//
//	cc -o /tmp/uapi device/sensor/gpio/testdata/uapi.c && /tmp/uapi >device/sensor/gpio/testdata/uapi.golden
#include <linux/gpio.h>
#include <stdio.h>
#include <string.h>

static void say(const char *name, const void *p, size_t n)
{
	const unsigned char *b = p;
	printf("%s ", name);
	for (size_t i = 0; i < n; i++)
		printf("%02x", b[i]);
	printf("\n");
}

static void number(const char *name, unsigned long n) { printf("%s %lx\n", name, n); }

int main(void)
{
	struct gpio_v2_line_request r;
	memset(&r, 0, sizeof r);
	r.offsets[0] = 5;
	strcpy(r.consumer, "interlock");
	r.config.flags = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_ACTIVE_LOW | GPIO_V2_LINE_FLAG_BIAS_PULL_UP |
			 GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING;
	r.num_lines = 1;
	r.event_buffer_size = 256;
	say("request-plain", &r, sizeof r);
	r.config.num_attrs = 1;
	r.config.attrs[0].attr.id = GPIO_V2_LINE_ATTR_ID_DEBOUNCE;
	r.config.attrs[0].attr.debounce_period_us = 30000;
	r.config.attrs[0].mask = 1;
	say("request-debounced", &r, sizeof r);
	r.fd = 42;
	say("request-answered", &r, sizeof r);

	struct gpio_v2_line_values v = {.bits = 0, .mask = 1};
	say("values-asked", &v, sizeof v);
	v.bits = 1;
	say("values-active", &v, sizeof v);

	struct gpio_v2_line_event e[2];
	memset(e, 0, sizeof e);
	e[0] = (struct gpio_v2_line_event){.timestamp_ns = 123456789012345ULL, .id = GPIO_V2_LINE_EVENT_RISING_EDGE, .offset = 5, .seqno = 9, .line_seqno = 7};
	e[1] = (struct gpio_v2_line_event){.timestamp_ns = 123456789912345ULL, .id = GPIO_V2_LINE_EVENT_FALLING_EDGE, .offset = 5, .seqno = 10, .line_seqno = 8};
	say("events", e, sizeof e);

	struct gpiochip_info c;
	memset(&c, 0, sizeof c);
	strcpy(c.name, "gpiochip0");
	strcpy(c.label, "gpio-sim.0-node0");
	c.lines = 8;
	say("chip", &c, sizeof c);

	struct gpio_v2_line_info l;
	memset(&l, 0, sizeof l);
	l.offset = 5;
	say("line-asked", &l, sizeof l);
	strcpy(l.name, "lid");
	strcpy(l.consumer, "somebody");
	l.flags = GPIO_V2_LINE_FLAG_USED | GPIO_V2_LINE_FLAG_INPUT;
	say("line-used", &l, sizeof l);

	number("GPIO_GET_CHIPINFO_IOCTL", GPIO_GET_CHIPINFO_IOCTL);
	number("GPIO_V2_GET_LINEINFO_IOCTL", GPIO_V2_GET_LINEINFO_IOCTL);
	number("GPIO_V2_GET_LINE_IOCTL", GPIO_V2_GET_LINE_IOCTL);
	number("GPIO_V2_LINE_GET_VALUES_IOCTL", GPIO_V2_LINE_GET_VALUES_IOCTL);
	return 0;
}
