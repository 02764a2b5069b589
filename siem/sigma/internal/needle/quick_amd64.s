#include "textflag.h"

// func hasAVX2() bool
TEXT ·hasAVX2(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	MOVL $1, AX
	XORL CX, CX
	CPUID
	ANDL $0x18000000, CX // the system saves registers, AVX
	CMPL CX, $0x18000000
	JNE  no
	XORL CX, CX
	XGETBV
	ANDL $6, AX // the wide ones, too
	CMPL AX, $6
	JNE  no
	MOVL $7, AX
	XORL CX, CX
	CPUID
	BTL  $5, BX // AVX2
	JCC  no
	MOVB $1, ret+0(FP)

no:
	RET

// func scan3(value []byte, from int, t *tables) int
//
// The first place from which three bytes of value are in one column of t, or -1.
// A value has 34 bytes or more. Its last 32 places are looked at together, those
// among them that have been looked at already are masked.
TEXT ·scan3(SB), NOSPLIT, $0-48
	MOVQ value_base+0(FP), SI
	MOVQ value_len+8(FP), R10
	MOVQ from+24(FP), AX
	MOVQ t+32(FP), DI
	SUBQ $34, R10
	VMOVDQU (DI), Y0
	VMOVDQU 32(DI), Y1
	VMOVDQU 64(DI), Y2
	VMOVDQU 96(DI), Y3
	VMOVDQU 128(DI), Y4
	VMOVDQU 160(DI), Y5
	MOVQ $0x0f0f0f0f0f0f0f0f, R8
	MOVQ R8, X6
	VPBROADCASTQ X6, Y6
	VPXOR Y7, Y7, Y7
	MOVL $-1, R11

loop:
	CMPQ AX, R10
	JGT  last

block:
	VMOVDQU (SI)(AX*1), Y8
	VMOVDQU 1(SI)(AX*1), Y9
	VMOVDQU 2(SI)(AX*1), Y10

	// Each half of a byte says which columns it is in.
	VPSRLW $4, Y8, Y11
	VPSRLW $4, Y9, Y12
	VPSRLW $4, Y10, Y13
	VPAND Y6, Y8, Y8
	VPAND Y6, Y9, Y9
	VPAND Y6, Y10, Y10
	VPAND Y6, Y11, Y11
	VPAND Y6, Y12, Y12
	VPAND Y6, Y13, Y13
	VPSHUFB Y8, Y0, Y8
	VPSHUFB Y11, Y1, Y11
	VPSHUFB Y9, Y2, Y9
	VPSHUFB Y12, Y3, Y12
	VPSHUFB Y10, Y4, Y10
	VPSHUFB Y13, Y5, Y13
	VPAND Y11, Y8, Y8
	VPAND Y12, Y9, Y9
	VPAND Y13, Y10, Y10
	VPAND Y9, Y8, Y8
	VPAND Y10, Y8, Y8
	VPCMPEQB Y7, Y8, Y8
	VPMOVMSKB Y8, DX
	NOTL DX
	ANDL R11, DX
	JNZ  hit
	ADDQ $32, AX
	JMP  loop

last:
	MOVQ AX, CX
	SUBQ R10, CX
	CMPQ CX, $32
	JGE  none
	SHLL CX, R11
	MOVQ R10, AX
	JMP  block

hit:
	BSFL DX, DX
	ADDQ DX, AX
	MOVQ AX, ret+40(FP)
	VZEROUPPER
	RET

none:
	MOVQ $-1, AX
	MOVQ AX, ret+40(FP)
	VZEROUPPER
	RET
