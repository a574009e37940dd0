// Runs one network's command list on many blobs, one after the other, in one simulation.
//
// Read: setup.bin (register writes: address, data), start.bin (one such write, repeated before each job),
// blobs.bin (words: data, flags; bit 0 is tlast, a word with bit 1 ends a job and is not sent), picture.bin
// (beats, played anew for each job). Written for each job to results.bin: cycles from start to interrupt,
// status, number of scores, and SCORES words of scores (0 where fewer came). `finished` rises at the end
// of the last, or after +limit cycles of one job without an interrupt, whose status is then written as ~0.
// All numbers are 32-bit and little-endian. One beat in about four is held back at random.
module bench #(parameter PICTURE_BYTES = 4, parameter BEATS = 16, parameter SCORES = 4, parameter STATUS = 12);
    reg clk = 0, rst = 1;
    reg finished /* verilator public_flat_rw */ = 0;
    always #5 clk = ~clk;

    integer setup_file, blobs_file, picture_file, start_file, results_file;
    reg [31:0] limit = 0, cycle = 0, noise = 32'h2545F491;
    wire [2:0] pause = noise[2:0] & noise[10:8];

    reg [15:0] awaddr = 0;
    reg [31:0] wdata = 0;
    reg awvalid = 0, wvalid = 0, arvalid = 0;
    wire awready, wready, bvalid, arready, rvalid, irq;
    wire [31:0] rdata;
    reg [31:0] blob_data = 0;
    reg blob_valid = 0, blob_last = 0, job_sent = 1;
    wire blob_ready, picture_ready, scores_valid;
    wire [31:0] scores_data;
    wire scores_ready = ~pause[2];
    reg [8*PICTURE_BYTES-1:0] picture[0:BEATS-1];
    reg [31:0] beat = 0;
    reg picture_valid = 0;
    reg [31:0] score[0:SCORES-1];
    reg [31:0] n_scores = 0, since = 0, jobs = 0;

    dcgen_engine engine (
        .clk(clk), .rst(rst), .irq(irq),
        .s_axil_awaddr(awaddr), .s_axil_awprot(3'd0), .s_axil_awvalid(awvalid), .s_axil_awready(awready),
        .s_axil_wdata(wdata), .s_axil_wstrb(4'hf), .s_axil_wvalid(wvalid), .s_axil_wready(wready),
        .s_axil_bvalid(bvalid), .s_axil_bready(1'b1),
        .s_axil_araddr(STATUS[15:0]), .s_axil_arprot(3'd0), .s_axil_arvalid(arvalid), .s_axil_arready(arready),
        .s_axil_rdata(rdata), .s_axil_rvalid(rvalid), .s_axil_rready(1'b1),
        .s_axis_blob_tdata(blob_data), .s_axis_blob_tvalid(blob_valid), .s_axis_blob_tready(blob_ready),
        .s_axis_blob_tlast(blob_last),
        .s_axis_picture_tdata(picture[beat]), .s_axis_picture_tvalid(picture_valid && beat < BEATS),
        .s_axis_picture_tready(picture_ready), .s_axis_picture_tlast(1'b0),
        .m_axis_scores_tdata(scores_data), .m_axis_scores_tvalid(scores_valid), .m_axis_scores_tready(scores_ready)
    );

    function [31:0] swapped(input [31:0] v);
        swapped = {v[7:0], v[15:8], v[23:16], v[31:24]};
    endfunction

    localparam NEXT = 0, WRITE = 1, RUN = 2, READ = 3, DRAIN = 4, END = 5;
    reg [2:0] state = NEXT;
    reg [31:0] address, value, word, flags;
    reg [8*PICTURE_BYTES-1:0] swapped_beat;
    integer i, b;
    wire running = state == RUN || state == DRAIN;
    always @(posedge clk) begin
        cycle <= cycle + 1;
        rst <= cycle < 4;
        noise <= {noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]};

        // The blob: words up to the job's end.
        if (running && (!blob_valid || blob_ready)) begin
            blob_valid <= 0;
            if (!job_sent && !pause[0] && $fread(word, blobs_file) == 4 && $fread(flags, blobs_file) == 4) begin
                if (flags[25]) job_sent <= 1;
                else begin
                    blob_data <= swapped(word);
                    blob_last <= flags[24];
                    blob_valid <= 1;
                end
            end
        end
        // The picture: a beat on offer stays.
        if (picture_valid && picture_ready) beat <= beat + 1;
        if (!picture_valid || picture_ready) picture_valid <= running && !pause[1];
        if (scores_valid && scores_ready) begin
            if (n_scores < SCORES) score[n_scores] <= scores_data;
            n_scores <= n_scores + 1;
        end

        if (awready) awvalid <= 0;
        if (wready) wvalid <= 0;
        if (arready) arvalid <= 0;
        since <= since + 1;
        if (!rst) case (state)
            NEXT: begin
                if ($fread(address, setup_file) == 4 && $fread(value, setup_file) == 4) begin
                    awaddr <= {address[23:16], address[31:24]};
                    wdata <= swapped(value);
                    {awvalid, wvalid} <= 2'b11;
                    state <= WRITE;
                end else if (job_sent) begin
                    // Nothing of the setup is left: every further write is a start.
                    setup_file = $fopen("start.bin", "rb");
                    since <= 0;
                    beat <= 0;
                    picture_valid <= 0;
                    n_scores <= 0;
                    for (i = 0; i < SCORES; i = i + 1) score[i] <= 0;
                    job_sent <= 0;
                    jobs <= jobs - 1;
                    if (jobs == 0) begin
                        finished <= 1;
                        state <= END;
                        $fclose(results_file);
                    end
                end else state <= RUN;
            end
            WRITE: if (bvalid) state <= NEXT;
            RUN: if (irq && since > 16 || since >= limit) begin
                $fwrite(results_file, "%u", since);
                if (!irq) $fwrite(results_file, "%u", 32'hffffffff);
                finished <= !irq;
                state <= irq ? READ : END;
                arvalid <= irq;
                if (!irq) $fclose(results_file);
            end
            READ: if (rvalid) begin
                $fwrite(results_file, "%u", rdata);
                $fwrite(results_file, "%u", n_scores);
                for (i = 0; i < SCORES; i = i + 1) $fwrite(results_file, "%u", score[i]);
                state <= DRAIN;
                since <= 0;
            end
            // What is left of a refused blob is taken and thrown away.
            DRAIN: if (job_sent && !blob_valid) begin
                $fclose(setup_file);
                setup_file = $fopen("nothing.bin", "rb");
                state <= NEXT;
            end else if (since >= limit) begin
                finished <= 1;
                state <= END;
                $fclose(results_file);
            end
            default: ;
        endcase
    end

    initial begin
        if (!$value$plusargs("limit=%d", limit)) limit = ~32'd0;
        if (!$value$plusargs("jobs=%d", jobs)) jobs = 0;
        setup_file = $fopen("setup.bin", "rb");
        blobs_file = $fopen("blobs.bin", "rb");
        picture_file = $fopen("picture.bin", "rb");
        results_file = $fopen("results.bin", "wb");
        for (i = 0; i < BEATS; i = i + 1) begin
            value = $fread(swapped_beat, picture_file);
            for (b = 0; b < PICTURE_BYTES; b = b + 1)
                picture[i][8*b+:8] = swapped_beat[8*(PICTURE_BYTES-1-b)+:8];
        end
    end
endmodule
