# SPDX-License-Identifier: MIT
#
# bias_plot.awk: draws what bias.c has measured: awk -f bias_plot.awk profile-bias.txt >profile-bias.svg

BEGIN {
    size = 340
    split("cpu wall steady", order)
    title["cpu"] = "AW_PROFILE_CPU: timers at the tick"
    title["wall"] = "AW_PROFILE_WALL: random intervals"
    title["steady"] = "a timer of 4 ms, CLOCK_MONOTONIC"
    colour["cpu"] = "#b91c1c"
    colour["wall"] = "#15803d"
    colour["steady"] = "#a16207"
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 430\" "
    print "font-family=\"sans-serif\" font-size=\"12\" fill=\"#44403c\">"
    print "<title>Work between the ticks: reported share against true share</title>"
    print "<rect width=\"720\" height=\"430\" fill=\"#ffffff\"/>"
    print "<g transform=\"translate(60 40)\">"
    printf "<text x=\"0\" y=\"-16\" font-size=\"15\" font-weight=\"bold\">"
    print "Work that keeps step with the kernel&#8217;s tick</text>"
    printf "<rect width=\"%d\" height=\"%d\" fill=\"#fafaf9\" stroke=\"#d6d3d1\"/>\n", size, size
    for (percent = 0; percent <= 100; percent += 20) {
        at = percent * size / 100
        printf "<path d=\"M0 %.1fH%d\" stroke=\"#e7e5e4\"/>", size - at, size
        printf "<text x=\"-6\" y=\"%.1f\" text-anchor=\"end\">%d</text>", size - at + 4, percent
        printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", at, size + 18, percent
    }
    printf "<path d=\"M0 %dL%d 0\" stroke=\"#78716c\" stroke-dasharray=\"4 4\"/>\n", size, size
    printf "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">true share, %%</text>\n", size / 2, size + 38
    printf "<text transform=\"translate(-36 %d) rotate(-90)\" text-anchor=\"middle\">", size / 2
    print "reported share, %</text>"
}

function mark(clock, x, y) {
    if (clock == "cpu")
        return sprintf("M%.1f %.1fl7 7m0 -7l-7 7", x - 3.5, y - 3.5)
    if (clock == "wall")
        return sprintf("M%.1f %.1fa4 4 0 1 0 8 0a4 4 0 1 0 -8 0", x - 4, y)
    return sprintf("M%.1f %.1fh7v7h-7z", x - 3.5, y - 3.5)
}

$1 in title { marks[$1] = marks[$1] mark($1, $2 * size / 100, size - $3 * size / 100) }

END {
    for (i = 1; i <= 3; i++) {
        clock = order[i]
        style = sprintf("fill=\"none\" stroke=\"%s\" stroke-width=\"2\"", colour[clock])
        printf "<path %s d=\"%s\"/>\n", style, marks[clock]
        y = 20 + 24 * i
        printf "<path %s d=\"%s\"/>", style, mark(clock, size + 24, y - 4)
        printf "<text x=\"%d\" y=\"%d\">%s</text>\n", size + 36, y, title[clock]
    }
    printf "<path d=\"M%d 16h16\" stroke=\"#78716c\" stroke-dasharray=\"4 4\"/>", size + 16
    printf "<text x=\"%d\" y=\"20\">true</text>\n", size + 36
    print "</g>\n</svg>"
}
