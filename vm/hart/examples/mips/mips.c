/* What guest programs are made of, timed part by part: a freestanding machine-mode program. */

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

#define UART (*(volatile u8 *)0x10000000)
#define MTIME (*(volatile u64 *)0x200bff8)
#define FINISHER (*(volatile u32 *)0x100000)

struct node {
    struct node *next;
    u64 value;
};

static u32 crc_table[256];
static int ints[3][32][32];
static double doubles[3][48][48];
static struct node nodes[1024];
static u8 bytes[65536];
static int numbers[4096];

static void print(const char *text)
{
    while (*text)
        UART = *text++;
}

static void print_number(u64 number)
{
    char digits[24];
    int count = 0;
    do
        digits[count++] = '0' + number % 10;
    while (number /= 10);
    while (count)
        UART = digits[--count];
}

static u64 instructions(void)
{
    u64 count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

static u64 crc(void)
{
    u32 sum = ~0u;
    for (int round = 0; round < 160; round++)
        for (int i = 0; i < 65536; i++)
            sum = crc_table[(sum ^ bytes[i]) & 255] ^ (sum >> 8);
    return sum;
}

static u64 matrix(void)
{
    for (int round = 0; round < 300; round++)
        for (int i = 0; i < 32; i++)
            for (int j = 0; j < 32; j++) {
                int sum = 0;
                for (int k = 0; k < 32; k++)
                    sum += ints[0][i][k] * ints[1][k][j];
                ints[2][i][j] = sum + round;
            }
    return ints[2][3][5];
}

static u64 __attribute__((noinline)) fibonacci(u64 n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static u64 calls(void)
{
    return fibonacci(32);
}

static u64 list(void)
{
    u64 sum = 0;
    struct node *node = nodes;
    for (int i = 0; i < 10000000; i++) {
        sum += node->value;
        node = node->next;
    }
    return sum;
}

static u64 sieve(void)
{
    u64 primes = 0;
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 65536; i++)
            bytes[i] = 1;
        for (int i = 2; i < 256; i++)
            if (bytes[i])
                for (int j = i * i; j < 65536; j += i)
                    bytes[j] = 0;
        for (int i = 2; i < 65536; i++)
            primes += bytes[i];
    }
    return primes;
}

static void __attribute__((noinline)) quicksort(int *from, int *to)
{
    while (from < to) {
        int pivot = from[(to - from) / 2], *low = from, *high = to;
        while (low <= high) {
            while (*low < pivot)
                low++;
            while (*high > pivot)
                high--;
            if (low <= high) {
                int kept = *low;
                *low++ = *high;
                *high-- = kept;
            }
        }
        quicksort(from, high);
        from = low;
    }
}

static u64 sort(void)
{
    u32 random = 1;
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 4096; i++)
            numbers[i] = (random = random * 1103515245 + 12345) >> 8;
        quicksort(numbers, numbers + 4095);
    }
    return numbers[2048];
}

static u64 fp(void)
{
    for (int round = 0; round < 60; round++)
        for (int i = 0; i < 48; i++)
            for (int j = 0; j < 48; j++) {
                double sum = 0;
                for (int k = 0; k < 48; k++)
                    sum += doubles[0][i][k] * doubles[1][k][j];
                doubles[2][i][j] = sum / (round + 3.0);
            }
    return doubles[2][7][9];
}

static void prepare(void)
{
    for (u32 i = 0; i < 256; i++) {
        u32 sum = i;
        for (int bit = 0; bit < 8; bit++)
            sum = sum & 1 ? 0xedb88320 ^ (sum >> 1) : sum >> 1;
        crc_table[i] = sum;
    }
    for (int i = 0; i < 65536; i++)
        bytes[i] = i * 7;
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 32; j++) {
            ints[0][i][j] = i * j + 1;
            ints[1][i][j] = i - j;
        }
    for (int i = 0; i < 48; i++)
        for (int j = 0; j < 48; j++) {
            doubles[0][i][j] = i * 0.37 + j;
            doubles[1][i][j] = i - j * 1.1;
        }
    for (int i = 0; i < 1024; i++) {
        nodes[i].next = &nodes[(i * 5 + 1) & 1023];
        nodes[i].value = i;
    }
}

/* A line of name, ticks of 100 ns, instructions, result. */
static void measure(const char *name, u64 (*part)(void))
{
    u64 time = MTIME, count = instructions();
    u64 result = part();
    count = instructions() - count;
    time = MTIME - time;
    print(name);
    print(" ");
    print_number(time);
    print(" ");
    print_number(count);
    print(" ");
    print_number(result);
    print("\n");
}

void run(void)
{
    prepare();
    measure("crc", crc);
    measure("matrix", matrix);
    measure("calls", calls);
    measure("list", list);
    measure("sieve", sieve);
    measure("sort", sort);
    measure("fp", fp);
    FINISHER = 0x5555;
    for (;;)
        ;
}
