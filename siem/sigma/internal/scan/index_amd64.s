#include "textflag.h"

// func index1(b []byte, masks []mask)
//
// For each 64 bytes of b, one mask: which bytes are a quote, a backslash, and
// outside of ASCII. SSE2 is all that it needs, which every amd64 has. len(b) is
// a multiple of 64, and masks has room for len(b)/64.
TEXT ·index1(SB), NOSPLIT, $0-48
	MOVQ b_base+0(FP), SI
	MOVQ b_len+8(FP), CX
	MOVQ masks_base+24(FP), DI
	SHRQ $6, CX
	JZ   done
	MOVQ $0x2222222222222222, AX
	MOVQ AX, X14
	PUNPCKLQDQ X14, X14
	MOVQ $0x5c5c5c5c5c5c5c5c, AX
	MOVQ AX, X15
	PUNPCKLQDQ X15, X15

loop:
	MOVOU (SI), X0
	MOVOU 16(SI), X1
	MOVOU 32(SI), X2
	MOVOU 48(SI), X3

	// Bytes outside of ASCII have their highest bit set.
	PMOVMSKB X0, AX
	PMOVMSKB X1, BX
	PMOVMSKB X2, DX
	PMOVMSKB X3, R8
	SHLQ $16, BX
	SHLQ $32, DX
	SHLQ $48, R8
	ORQ  BX, AX
	ORQ  DX, AX
	ORQ  R8, AX
	MOVQ AX, 16(DI)

	MOVO X0, X4
	MOVO X1, X5
	MOVO X2, X6
	MOVO X3, X7
	PCMPEQB X14, X4
	PCMPEQB X14, X5
	PCMPEQB X14, X6
	PCMPEQB X14, X7
	PMOVMSKB X4, AX
	PMOVMSKB X5, BX
	PMOVMSKB X6, DX
	PMOVMSKB X7, R8
	SHLQ $16, BX
	SHLQ $32, DX
	SHLQ $48, R8
	ORQ  BX, AX
	ORQ  DX, AX
	ORQ  R8, AX
	MOVQ AX, (DI)

	PCMPEQB X15, X0
	PCMPEQB X15, X1
	PCMPEQB X15, X2
	PCMPEQB X15, X3
	PMOVMSKB X0, AX
	PMOVMSKB X1, BX
	PMOVMSKB X2, DX
	PMOVMSKB X3, R8
	SHLQ $16, BX
	SHLQ $32, DX
	SHLQ $48, R8
	ORQ  BX, AX
	ORQ  DX, AX
	ORQ  R8, AX
	MOVQ AX, 8(DI)

	ADDQ $64, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  loop

done:
	RET

// func index2(b []byte, masks []mask)
//
// index for processors with AVX2.
TEXT ·index2(SB), NOSPLIT, $0-48
	MOVQ b_base+0(FP), SI
	MOVQ b_len+8(FP), CX
	MOVQ masks_base+24(FP), DI
	SHRQ $6, CX
	JZ   done
	MOVQ $0x2222222222222222, AX
	MOVQ AX, X14
	VPBROADCASTQ X14, Y14
	MOVQ $0x5c5c5c5c5c5c5c5c, AX
	MOVQ AX, X15
	VPBROADCASTQ X15, Y15

loop:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPCMPEQB Y14, Y0, Y2
	VPCMPEQB Y14, Y1, Y3
	VPCMPEQB Y15, Y0, Y4
	VPCMPEQB Y15, Y1, Y5
	VPMOVMSKB Y2, AX
	VPMOVMSKB Y3, BX
	VPMOVMSKB Y4, DX
	VPMOVMSKB Y5, R8
	VPMOVMSKB Y0, R9
	VPMOVMSKB Y1, R10
	SHLQ $32, BX
	SHLQ $32, R8
	SHLQ $32, R10
	ORQ  BX, AX
	ORQ  R8, DX
	ORQ  R10, R9
	MOVQ AX, (DI)
	MOVQ DX, 8(DI)
	MOVQ R9, 16(DI)
	ADDQ $64, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER

done:
	RET

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
