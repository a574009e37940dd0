// Plays files into the engine and writes down what comes out, so that no Python runs in any cycle.
//
// Files that are read from the current folder:
//   setup.bin      register writes: address, value
//   blob.bin       words of the blob stream: the word, then 1 for the last one of a packet, else 0
//   picture.bin    beats of the picture stream
// Files that are written there:
//   scores.bin     scores
//   trace.bin      writes to the activation memory: step | word << 16, lane | count << 8, then LANES bytes, filled
//                  up to whole words
//   steps.bin      for each record of the command list, its number and the cycle in which it began
//   registers.bin  registers, read when the engine has ended: the one at FIRST_READ, then the counters
// All numbers are 32-bit and little-endian. `finished` rises when registers.bin is complete.
//
// +stalls=SEED makes every stream and every channel of the bus pause at random; without it none does.
// +limit=CYCLES ends a run that does not end by itself. +quiet writes no trace.
module bench #(
    parameter LANES = 8,
    parameter PICTURE_BYTES = 4,
    parameter FIRST_READ = 12,    // byte addresses of the registers to read back: this one ...
    parameter COUNTER_BASE = 128, // ... and from here ...
    parameter COUNTERS = 9        // ... this many
);
    reg clk = 0, rst = 1;
    reg finished /* verilator public_flat_rw */ = 0;
    always #5 clk = ~clk;

    integer setup_file, blob_file, picture_file, scores_file, trace_file, steps_file, registers_file;
    integer quiet = 0;
    reg [31:0] seed = 0;
    reg [31:0] limit = 0, cycle = 0;
    wire stalls = seed != 0;

    // A random bit for each of seven channels, 1 in seven of sixteen cycles, makes the channel pause.
    reg [31:0] noise = 1;
    function [31:0] next_noise(input [31:0] n);
        reg [31:0] v;
        begin
            v = n;
            v = v ^ (v << 13);
            v = v ^ (v >> 17);
            next_noise = v ^ (v << 5);
        end
    endfunction
    wire [6:0] pause = stalls ? noise[8:2] & noise[16:10] | noise[23:17] & noise[30:24] : 7'd0;

    reg [15:0] awaddr = 0, araddr = 0;
    reg [31:0] wdata = 0;
    reg awvalid = 0, wvalid = 0, arvalid = 0;
    wire awready, wready, bready, bvalid, arready, rready, rvalid, irq;
    wire [1:0] bresp, rresp;
    wire [31:0] rdata;
    reg [31:0] blob_data = 0;
    reg blob_valid = 0, blob_last = 0, blob_end = 0;
    wire blob_ready;
    reg [8*PICTURE_BYTES-1:0] picture_data = 0;
    reg picture_valid = 0, picture_end = 0;
    wire picture_ready;
    wire [31:0] scores_data;
    wire scores_valid, scores_last;
    wire scores_ready = ~pause[2];
    wire trace_valid;
    wire [15:0] trace_step, trace_word;
    wire [7:0] trace_lane, trace_count;
    wire [8*LANES-1:0] trace_data;

    dcgen_engine engine (
        .clk(clk), .rst(rst), .irq(irq),
        .s_axil_awaddr(awaddr), .s_axil_awprot(3'd0), .s_axil_awvalid(awvalid), .s_axil_awready(awready),
        .s_axil_wdata(wdata), .s_axil_wstrb(4'hf), .s_axil_wvalid(wvalid), .s_axil_wready(wready),
        .s_axil_bresp(bresp), .s_axil_bvalid(bvalid), .s_axil_bready(bready),
        .s_axil_araddr(araddr), .s_axil_arprot(3'd0), .s_axil_arvalid(arvalid), .s_axil_arready(arready),
        .s_axil_rdata(rdata), .s_axil_rresp(rresp), .s_axil_rvalid(rvalid), .s_axil_rready(rready),
        .s_axis_blob_tdata(blob_data), .s_axis_blob_tvalid(blob_valid), .s_axis_blob_tready(blob_ready),
        .s_axis_blob_tlast(blob_last),
        .s_axis_picture_tdata(picture_data), .s_axis_picture_tvalid(picture_valid),
        .s_axis_picture_tready(picture_ready), .s_axis_picture_tlast(1'b0),
        .m_axis_scores_tdata(scores_data), .m_axis_scores_tvalid(scores_valid),
        .m_axis_scores_tready(scores_ready), .m_axis_scores_tlast(scores_last),
        .trace_valid(trace_valid), .trace_step(trace_step), .trace_word(trace_word), .trace_lane(trace_lane),
        .trace_count(trace_count), .trace_data(trace_data)
    );

    // $fread puts the first byte of a file into the highest bits; files are little-endian.
    function [31:0] swapped(input [31:0] v);
        swapped = {v[7:0], v[15:8], v[23:16], v[31:24]};
    endfunction

    reg [31:0] blob_word, blob_flag;
    always @(posedge clk) begin
        cycle <= cycle + 1;
        noise <= cycle == 0 ? seed * 32'd2654435761 | 1 : next_noise(noise);
        rst <= cycle < 4;
        if (!rst && (!blob_valid || blob_ready)) begin
            blob_valid <= 0;
            if (!pause[0] && !blob_end) begin
                if ($fread(blob_word, blob_file) == 4 && $fread(blob_flag, blob_file) == 4) begin
                    blob_data <= swapped(blob_word);
                    blob_last <= blob_flag[24];
                    blob_valid <= 1;
                end else blob_end <= 1;
            end
        end
    end

    reg [8*PICTURE_BYTES-1:0] beat;
    integer b;
    always @(posedge clk) begin
        if (!rst && (!picture_valid || picture_ready)) begin
            picture_valid <= 0;
            if (!pause[1] && !picture_end) begin
                if ($fread(beat, picture_file) == PICTURE_BYTES) begin
                    for (b = 0; b < PICTURE_BYTES; b = b + 1)
                        picture_data[8*b+:8] <= beat[8*(PICTURE_BYTES-1-b)+:8];
                    picture_valid <= 1;
                end else picture_end <= 1;
            end
        end
    end

    localparam WORDS = (LANES + 3) / 4;
    wire [32*WORDS-1:0] trace_words = {{(32*WORDS-8*LANES){1'b0}}, trace_data};
    integer w;
    always @(posedge clk) begin
        if (scores_valid && scores_ready) $fwrite(scores_file, "%u", scores_data);
        if (trace_valid && quiet == 0) begin
            $fwrite(trace_file, "%u", {trace_word, trace_step});
            $fwrite(trace_file, "%u", {16'd0, trace_count, trace_lane});
            for (w = 0; w < WORDS; w = w + 1) $fwrite(trace_file, "%u", trace_words[32*w+:32]);
        end
    end

    // The number of the record at work, and the cycle, counted from the first blob word, in which it began.
    reg [15:0] step = 16'hffff;
    reg [31:0] since = 0;
    reg counting = 0;
    always @(posedge clk) begin
        if (blob_valid && blob_ready) counting <= 1;
        if (counting || blob_valid && blob_ready) since <= since + 1;
        if (counting && trace_step != step) begin
            step <= trace_step;
            $fwrite(steps_file, "%u", {16'd0, trace_step});
            $fwrite(steps_file, "%u", since);
        end
    end

    // The bus master: writes setup.bin, waits for the interrupt, reads registers back.
    localparam NEXT = 0, WRITE = 1, RUN = 2, READ = 3, END = 4;
    reg [2:0] state = NEXT;
    reg [31:0] address, value;
    reg [7:0] reading = 0;
    assign bready = ~pause[5];
    assign rready = ~pause[6];
    always @(posedge clk) if (!rst) begin
        if (awready) awvalid <= 0;
        if (wready) wvalid <= 0;
        if (arready) arvalid <= 0;
        case (state)
            NEXT: if (!pause[3]) begin
                if ($fread(address, setup_file) == 4 && $fread(value, setup_file) == 4) begin
                    awaddr <= {address[23:16], address[31:24]};
                    wdata <= swapped(value);
                    awvalid <= 1;
                    wvalid <= 1;
                    state <= WRITE;
                end else state <= RUN;
            end
            WRITE: if (bvalid && bready) state <= NEXT;
            RUN: if (irq || cycle >= limit) begin
                araddr <= FIRST_READ;
                arvalid <= 1;
                state <= READ;
            end
            READ: if (rvalid && rready) begin
                $fwrite(registers_file, "%u", rdata);
                if (reading == COUNTERS) begin
                    $fclose(scores_file);
                    $fclose(trace_file);
                    $fclose(steps_file);
                    $fclose(registers_file);
                    finished <= 1;
                    state <= END;
                end else begin
                    araddr <= COUNTER_BASE + 4 * reading;
                    arvalid <= 1;
                    reading <= reading + 1;
                end
            end
            default: ;
        endcase
    end

    initial begin
        if (!$value$plusargs("stalls=%d", seed)) seed = 0;
        if (!$value$plusargs("limit=%d", limit)) limit = ~32'd0;
        if ($test$plusargs("quiet")) quiet = 1;
        setup_file = $fopen("setup.bin", "rb");
        blob_file = $fopen("blob.bin", "rb");
        picture_file = $fopen("picture.bin", "rb");
        scores_file = $fopen("scores.bin", "wb");
        trace_file = $fopen("trace.bin", "wb");
        steps_file = $fopen("steps.bin", "wb");
        registers_file = $fopen("registers.bin", "wb");
    end
endmodule
