/* Receive filters: secondary addresses, flags, VLANs. */
#include <errno.h>
#include <linux/if_vlan.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gtool.h"

static int parse_mac(const char *text, uint8_t *mac) {
    int n = sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
    errno = EINVAL;
    return n == 6 ? 0 : -1;
}

static struct ifreq request(const char *interface) {
    struct ifreq request = {0};
    strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
    return request;
}

static int multicast(int socket, int add, const uint8_t *mac, const char *interface) {
    struct ifreq multi = request(interface);
    memcpy(multi.ifr_hwaddr.sa_data, mac, 6);
    return ioctl(socket, add ? SIOCADDMULTI : SIOCDELMULTI, &multi);
}

/* An entry of the interface's own forwarding table, as "bridge fdb add MAC dev IF self". */
static int unicast(int netlink, int add, const uint8_t *mac, const char *interface) {
    struct {
        struct nlmsghdr header;
        struct ndmsg neighbour;
        struct rtattr address;
        uint8_t mac[8];
    } message = {
        .header.nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg)) + RTA_SPACE(6),
        .header.nlmsg_type = add ? RTM_NEWNEIGH : RTM_DELNEIGH,
        .header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_APPEND : 0),
        .neighbour.ndm_family = PF_BRIDGE,
        .neighbour.ndm_state = NUD_PERMANENT | NUD_NOARP,
        .neighbour.ndm_flags = NTF_SELF,
        .neighbour.ndm_ifindex = if_nametoindex(interface),
        .address = {.rta_len = RTA_LENGTH(6), .rta_type = NDA_LLADDR},
    };
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char more[512];
    } answer;

    memcpy(message.mac, mac, 6);
    if (send(netlink, &message, message.header.nlmsg_len, 0) < 0 || recv(netlink, &answer, sizeof answer, 0) < 0)
        return -1;
    errno = answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : 0;
    return errno ? -1 : 0;
}

static int vlan(int socket, int add, int id, const char *interface) {
    struct vlan_ioctl_args vlan = {.cmd = add ? ADD_VLAN_CMD : DEL_VLAN_CMD};
    if (add) {
        strncpy(vlan.device1, interface, sizeof vlan.device1 - 1);
        vlan.u.VID = id;
    } else {
        snprintf(vlan.device1, sizeof vlan.device1, "%.15s.%d", interface, id);
    }
    return ioctl(socket, SIOCSIFVLAN, &vlan);
}

int filter_multicast(char **args) {
    int inet = socket(AF_INET, SOCK_DGRAM, 0);
    uint8_t mac[6];
    if (parse_mac(args[1], mac) || multicast(inet, !strcmp(args[0], "add"), mac, args[2]))
        return fail(args[1]);
    return 0;
}

int filter_unicast(char **args) {
    int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    uint8_t mac[6];
    if (parse_mac(args[1], mac) || unicast(netlink, !strcmp(args[0], "add"), mac, args[2]))
        return fail(args[1]);
    return 0;
}

int filter_flag(char **args) {
    int inet = socket(AF_INET, SOCK_DGRAM, 0);
    int flag = !strcmp(args[0], "promisc") ? IFF_PROMISC : IFF_ALLMULTI;
    struct ifreq flags = request(args[2]);
    if (ioctl(inet, SIOCGIFFLAGS, &flags))
        return fail("flags");
    if (!strcmp(args[1], "on"))
        flags.ifr_flags |= flag;
    else
        flags.ifr_flags &= ~flag;
    return ioctl(inet, SIOCSIFFLAGS, &flags) ? fail("flags") : 0;
}

/* Changes the filter as fast as the kernel lets: 4 address changes a round, 2 of VLANs every 16th. */
int filter_churn(char **args) {
    int inet = socket(AF_INET, SOCK_DGRAM, 0), netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    const char *interface = args[0];
    int rounds = atoi(args[1]), changes = 0;
    for (int i = 0; i < rounds; i++) {
        uint8_t group[6] = {1, 0, 0x5e, 1, i >> 8, i}, own[6] = {2, 0, 0, 1, i >> 8, i};
        for (int add = 1; add >= 0; add--) {
            if (multicast(inet, add, group, interface) || unicast(netlink, add, own, interface))
                return fail("address");
            changes += 2;
            if (i % 16)
                continue;
            if (vlan(inet, add, 100, interface))
                return fail("vlan");
            changes++;
        }
    }
    printf("changes=%d\n", changes);
    return 0;
}
