"""Motif files as the programs of the MEME Suite write them, with the motifs in each."""

from __future__ import annotations

STARS = "*" * 80
DASHES = "-" * 80

Rows = list[list[float]]
"""A motif's probabilities: one row per position, in the order A C G T."""

CRP: Rows = [
    [0.117647, 0.0, 0.117647, 0.764706],
    [0.0, 0.0, 1.0, 0.0],
    [0.058824, 0.0, 0.058824, 0.882353],
    [0.0, 0.0, 0.941176, 0.058824],
    [0.941176, 0.0, 0.058824, 0.0],
]
LEX: Rows = [
    [0.214286, 0.0, 0.0, 0.785714],
    [0.857143, 0.0, 0.071429, 0.071429],
    [0.0, 1.0, 0.0, 0.0],
]
GATA: Rows = [
    [0.545455, 0.0, 0.454545, 0.0],
    [0.0, 0.0, 1.0, 0.0],
    [1.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 1.0],
]

DNA_BLOCK = """ALPHABET "DNA" DNA-LIKE
A "Adenine" CC0000 ~ T "Thymine" 008000
C "Cytosine" 0000CC ~ G "Guanine" FFB300
N "Any base" = ACGT
X = ACGT
. = ACGT
V "Not T" = ACG
H "Not G" = ACT
D "Not C" = AGT
B "Not A" = CGT
M "Amino" = AC
R "Purine" = AG
W "Weak" = AT
S "Strong" = CG
Y "Pyrimidine" = CT
K "Keto" = GT
U = T
END ALPHABET
"""

RNA_BLOCK = """ALPHABET "RNA" RNA-LIKE
A "Adenine" CC0000
C "Cytosine" 0000CC
G "Guanine" FFB300
U "Uracil" 008000
N "Any base" = ACGU
T = U
END ALPHABET
"""


def numbers(rows: Rows) -> str:
    """Return the rows of a matrix as MEME writes them."""
    return "".join(" " + "  ".join(f"{value:.6f}" for value in row) + " \n" for row in rows)


def banner(program: str) -> str:
    """Return the beginning of a file of a program of the MEME Suite."""
    return (
        f"{STARS}\n{program}\n{STARS}\n"
        "MEME version 5.5.5 (Release date: Thu Sep 14 08:48:04 2023 +1000)\n\n"
        "For further information on how to interpret these results please access "
        "https://meme-suite.org/meme.\n"
        "To get a copy of the MEME Suite software please access https://meme-suite.org.\n\n"
        f"{STARS}\n\n\n{STARS}\nREFERENCE\n{STARS}\n"
        "If you use this program in your research, please cite:\n\nTimothy L. Bailey,\n"
        f'"Sequence motif discovery",\nBioinformatics, 2021.\n{STARS}\n\n\n'
    )


def meme_motif(heading: str, title: str, rows: Rows, expected: str) -> str:
    """Return a motif as in meme.txt: its sites, its log-odds matrix, its probabilities."""
    width = len(rows)
    odds = "".join(" " + " ".join(f"{-83 + 40 * at:6d}" for at in range(4)) + " \n" for _ in rows)
    return (
        f"{STARS}\n{heading}\n{STARS}\n{DASHES}\n\t{title} Description\n{DASHES}\n"
        "Simplified        A  1:1:9\npos.-specific     C  :::::\nprobability       G  1a19:\n"
        "matrix            T  8:9::\n\n"
        "         bits    2.3  *  \n                 2.1  * *\n                 1.9  * *\n"
        "Relative         1.2 *****\nEntropy          0.9 *****\n(11.0 bits)      0.7 *****\n"
        "                 0.0 -----\n\nMultilevel           TGTGA\nconsensus                 \n\n"
        f"{DASHES}\n\n{DASHES}\n\t{title} sites sorted by position p-value\n{DASHES}\n"
        "Sequence name             Start   P-value           Site\n"
        "-------------             ----- ---------          -----\n"
        "1                            64  1.30e-08 AAGTGA  TGTGA CGTCA\n"
        f"2                            78  4.12e-08 GTTGCC  TGTGA AATGA\n{DASHES}\n\n"
        f"{DASHES}\n\t{title} in BLOCKS format\n{DASHES}\nBL   MOTIF TGTGA width={width} seqs=2\n"
        f"1                        (   64) TGTGA  1 \n"
        f"2                        (   78) TGTGA  1 \n//\n\n{DASHES}\n\n"
        f"{DASHES}\n\t{title} position-specific scoring matrix\n{DASHES}\n"
        f"log-odds matrix: alength= 4 w= {width} n= 1566 bayes= 6.53 E= {expected} \n{odds}{DASHES}\n\n"
        f"{DASHES}\n\t{title} position-specific probability matrix\n{DASHES}\n"
        f"letter-probability matrix: alength= 4 w= {width} nsites= 17 E= {expected} \n"
        f"{numbers(rows)}{DASHES}\n\n"
        f"{DASHES}\n\t{title} regular expression\n{DASHES}\nTGTGA\n{DASHES}\n\n\n\n\nTime  0.54 secs.\n\n"
    )


def meme_txt(alphabet: str = "ALPHABET= ACGT\n") -> str:
    """Return meme.txt of MEME 5: motifs TGTGA (MEME-1, CRP) and TAC (MEME-2, LEX)."""
    return (
        f"{banner('MEME - Motif discovery tool')}{STARS}\nTRAINING SET\n{STARS}\n"
        f"PRIMARY SEQUENCES= crp0.fa\nCONTROL SEQUENCES= --none--\n{alphabet}"
        "Sequence name            Weight Length  Sequence name            Weight Length  \n"
        "-------------            ------ ------  -------------            ------ ------  \n"
        "1                        1.0000    105  2                        1.0000    105  \n"
        f"{STARS}\n\n{STARS}\nCOMMAND LINE SUMMARY\n{STARS}\n"
        "This information can also be useful in the event you wish to report a\n"
        "problem with the MEME software.\n\ncommand: meme crp0.fa -dna -revcomp -nmotifs 2 \n\n"
        "model:  mod=         zoops    nmotifs=         2    evt=           inf\n"
        "width:  minw=            3    maxw=           50\nstrands: + -\n"
        "Letter frequencies in dataset:\nA 0.304 C 0.196 G 0.196 T 0.304 \n"
        "Background letter frequencies (from file dataset with add-one prior applied):\n"
        f"A 0.304 C 0.196 G 0.196 T 0.304 \nBackground model order: 0\n{STARS}\n\n\n"
        + meme_motif(
            "MOTIF TGTGA MEME-1\twidth =   5  sites =  17  llr = 193  E-value = 4.1e-009",
            "Motif TGTGA MEME-1",
            CRP,
            "4.1e-009",
        )
        + meme_motif(
            "MOTIF TAC MEME-2\twidth =   3  sites =  14  llr = 88  E-value = 2.5e-006",
            "Motif TAC MEME-2",
            LEX,
            "2.5e-006",
        )
        + f"{STARS}\nSUMMARY OF MOTIFS\n{STARS}\n\n{DASHES}\n"
        f"\tCombined block diagrams: non-overlapping sites with p-value < 0.0001\n{DASHES}\n"
        "SEQUENCE NAME            COMBINED P-VALUE  MOTIF DIAGRAM\n"
        "-------------            ----------------  -------------\n"
        "1                                3.48e-06  63_[+1(1.30e-08)]_37\n"
        f"{DASHES}\n\n{STARS}\n\n\n"
        f"{STARS}\nStopped because requested number of motifs (2) found.\n{STARS}\n\n"
        f"CPU: a-machine\n\n{STARS}\n"
    )


def meme_3_txt() -> str:
    """Return meme.txt of MEME 3, which numbers its motifs, 1 (CRP) and 100 (LEX), and begins with a blank."""
    return (
        f"\n{STARS}\nMEME - Motif discovery tool\n{STARS}\n"
        "MEME version 3.0 (Release date: 2001/03/03 13:05:22)\n\n"
        f"{STARS}\nTRAINING SET\n{STARS}\nDATAFILE= crp0.s\nALPHABET= ACGT\n"
        + meme_motif(
            "MOTIF  1\twidth =    5   sites =  17   llr = 131   E-value = 1.3e-019",
            "Motif 1",
            CRP,
            "1.3e-019",
        )
        + meme_motif(
            "MOTIF100\twidth =    3   sites =  11   llr = 88   E-value = 2.5e-006",
            "Motif 100",
            LEX,
            "2.5e-006",
        )
    )


def streme_txt(alphabet: str = "ALPHABET= ACGT\n") -> str:
    """Return streme.txt: motifs 1-TGTGA (STREME-1, CRP) and 2-RGAT (STREME-2, GATA)."""
    return (
        f"{banner('STREME - Sensitive, Thorough, Rapid, Enriched Motif Elicitation')}{alphabet}\n"
        "strands: + -\n\nBackground letter frequencies\nA 0.277 C 0.223 G 0.223 T 0.277 \n\n"
        "MOTIF 1-TGTGA STREME-1\n"
        f"letter-probability matrix: alength= 4 w= 5 nsites= 187 P= 3.1e-012\n{numbers(CRP)}\n"
        "MOTIF 2-RGAT STREME-2\n"
        f"letter-probability matrix: alength= 4 w= 4 nsites= 54 S= 1.2e-005\n{numbers(GATA)}\n"
        f"{STARS}\nCOMMAND:\tstreme --verbosity 1 --oc . --dna --p peaks.fa\n{STARS}\n"
        f"CPU:\t\ta-machine\n{STARS}\nFINALTIME:\t1.15 seconds\n{STARS}\n"
    )


def dreme_txt() -> str:
    """Return dreme.txt: motif RGAT (DREME-1, GATA), below comments and with a definition of the alphabet."""
    return (
        "# DREME 5.4.1\n# command:          dreme -p peaks.fa -n shuffled.fa\n"
        "# positives: 100 | peaks.fa (Mon Jan 03 10:11:12 AEST 2022)\n# host: a-machine\n\n"
        f"MEME version 5.4.1\n\n{DNA_BLOCK}\nstrands: + -\n\n"
        "Background letter frequencies (from dataset):\nA 0.2 C 0.3 G 0.3 T 0.2\n\n"
        "MOTIF RGAT DREME-1\n\n"
        "#             Word    RC Word        Pos        Neg    P-value    E-value\n"
        "# BEST        RGAT       ATCY         44          3   2.4e-013   1.1e-008\n"
        "#             AGAT       ATCT         24          2   8.8e-008   4.0e-003\n\n"
        f"letter-probability matrix: alength= 4 w= 4 nsites= 44 E= 1.1e-008\n{numbers(GATA)}\n\n"
        "Time 0.27 secs.\n"
    )


def tomtom_query(alphabet: str = "ALPHABET= ACGT\n") -> str:
    """Return a query for Tomtom, in the minimal format: crp (CRP), and lexA without an alternate name."""
    return (
        f"MEME version 4\n\n{alphabet}\nstrands: + -\n\n"
        "Background letter frequencies (from file `bg.txt'):\nA 0.303 C 0.183 G 0.209 T 0.306 \n\n"
        "MOTIF crp alternative name\n"
        f"letter-probability matrix: alength= 4 w= 5 nsites= 17 E= 4.1e-009 \n{numbers(CRP)}"
        "URL http://example.org/crp\n\n"
        f"MOTIF lexA\nletter-probability matrix:\n{numbers(LEX)}"
    )
